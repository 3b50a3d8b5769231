/* Attention of a single query: decoding, masks of free form, weights wanted.
 * Reference: pyxglm/ops/reference.py, attention. Bound by reading the cache:
 * 512 bytes a key (K = 64), about 80 cycles at 20 GB/s, against 50 of work.
 *
 * The sums must be those of the tile of queries (attention_avx512.c), whose
 * lanes are queries: a score adds up its K products one after the other, by
 * fma. Here lanes are keys, so 16 rows of keys are transposed in registers to
 * get there, 64 shuffles for 16 x 16; the other way to multiply, lanes along
 * K, would need 60 for the sums over lanes, so nothing is lost. */
#include "attention_avx512.h"

/* Scores of 16 keys: lane j is q . k[place[j]], for j < count. `in_place`: there
 * are 16, one behind the other. Meanwhile 16 K floats are asked for from `ahead`
 * on, in the order of memory and into the second cache: in the order of use,
 * or into the first, they come from memory half as fast. */
INLINE512 __m512 scores_of_16(const head_view *view, const float *q, const int64_t *place,
                              int count, int in_place, const float *ahead)
{
    const int64_t K = view->K;
    __m512 score = _mm512_setzero_ps();
    for (int64_t k = 0; k < K; k += LANES) {
        const __mmask16 mask = first_lanes(K - k);
        __m512 column[16];
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++)
            PYXGLM_PREFETCH_L2(ahead + (k + j) * LANES);
        if (in_place)
#pragma GCC unroll 16
            for (int j = 0; j < 16; j++)
                column[j] = _mm512_loadu_ps(view->k + (place[0] + j) * K + k);
        else
#pragma GCC unroll 16
            for (int j = 0; j < 16; j++)
                column[j] = _mm512_maskz_loadu_ps(
                    j < count ? mask : 0, view->k + place[j < count ? j : 0] * view->k_s + k);
        transpose_16x16(column);
        if (K - k >= LANES)
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                score = _mm512_fmadd_ps(column[i], _mm512_set1_ps(q[k + i]), score);
        else
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (i < K - k)
                    score = _mm512_fmadd_ps(column[i], _mm512_set1_ps(q[k + i]), score);
    }
    return score;
}

/* values[k] = values[k] * rescale + sum over j of weight[j] v[place[j]][k].
 * Meanwhile the rows from `ahead` on are asked for. */
INLINE512 void add_values(float *values, const head_view *view, const float *weight,
                          const int64_t *place, int count, float rescale,
                          const float *ahead)
{
    const __m512 rescale_f32x16 = _mm512_set1_ps(rescale);
    for (int64_t k = 0; k < view->K; k += 4 * LANES) {
        const __mmask16 mask[4] = {first_lanes(view->K - k), first_lanes(view->K - k - LANES),
                                   first_lanes(view->K - k - 2 * LANES),
                                   first_lanes(view->K - k - 3 * LANES)};
        __m512 sum[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            sum[i] = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask[i], values + k + i * LANES),
                                   rescale_f32x16);
        for (int j = 0; j < count; j++) {
            const float *v = view->v + place[j] * view->v_s + k;
            const __m512 weight_f32x16 = _mm512_set1_ps(weight[j]);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                PYXGLM_PREFETCH_L2(ahead + j * view->v_s + k + i * LANES);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                sum[i] = _mm512_fmadd_ps(weight_f32x16,
                                         _mm512_maskz_loadu_ps(mask[i], v + i * LANES), sum[i]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            _mm512_mask_storeu_ps(values + k + i * LANES, mask[i], sum[i]);
    }
}

/* row[s] = exp(row[s] - largest) * inverse * factor, over S. */
INLINE512 void scores_to_weights(float *row, int64_t S, float largest, float inverse,
                                 float factor)
{
    for (int64_t s = 0; s < S; s += LANES) {
        const __mmask16 mask = first_lanes(S - s);
        const __m512 score = _mm512_maskz_loadu_ps(mask, row + s);
        const __m512 weight = exp_f32x16(_mm512_sub_ps(score, _mm512_set1_ps(largest)));
        const __m512 share = _mm512_mul_ps(weight, _mm512_set1_ps(inverse));
        _mm512_mask_storeu_ps(row + s, mask, _mm512_mul_ps(share, _mm512_set1_ps(factor)));
    }
}

PYXGLM_TARGET_AVX512 void pyxglm_attend_evenly_avx512(const head_view *view, int64_t t)
{
    const float share = view->S ? 1.0f / (float)view->S : 0.0f;
    float *out = view->out + t * view->out_t;
    for (int64_t k = 0; k < view->K; k += LANES) {
        const __mmask16 mask = first_lanes(view->K - k);
        __m512 sum = _mm512_setzero_ps();
        for (int64_t s = 0; s < view->S; s++)
            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, view->v + s * view->v_s + k));
        const __m512 mean = _mm512_mul_ps(sum, _mm512_set1_ps(share));
        _mm512_mask_storeu_ps(out + k, mask, _mm512_mul_ps(mean, _mm512_set1_ps(view->factor)));
    }
    for (int64_t s = 0; view->weights && s < view->S; s++)
        view->weights[t * view->S + s] = share * view->factor;
}

PYXGLM_TARGET_AVX512 void pyxglm_attend_one_avx512(const head_view *view, sight own, int64_t t,
                                                   float *values)
{
    const int64_t K = view->K, S = view->S;
    const float *q = view->q + t * view->q_t;
    float *weights = view->weights ? view->weights + t * S : NULL;
    const __m512 lowest = _mm512_set1_ps(-FLT_MAX);
    int64_t place[PYXGLM_KEY_BLOCK], s = 0;
    float weight[PYXGLM_KEY_BLOCK], largest = -FLT_MAX;
    __m512 sum = _mm512_setzero_ps(); /* lane i: of keys i, i + 16, ... */
    memset(values, 0, (size_t)K * sizeof *values);
    for (int64_t i = 0; weights && i < S; i++)
        weights[i] = -INFINITY;

    for (int count; (count = next_keys(own, &s, place)) > 0;) {
        /* What comes next: the next block, or the next head. */
        const int is_last = s >= own.limit;
        const float *ahead_k = view->k + (is_last ? view->k_h : s * view->k_s);
        const float *ahead_v = view->v + (is_last ? view->v_h : s * view->v_s);
        const int in_place = in_one_piece(view, place, count) && K % LANES == 0;
        __m512 score[PYXGLM_KEY_BLOCK / LANES], block_max = lowest;
        for (int j = 0; j < count; j += LANES) {
            const __mmask16 mask = first_lanes(count - j);
            __m512 found = in_place ? scores_of_16(view, q, place + j, LANES, 1, ahead_k + j * K)
                                    : scores_of_16(view, q, place + j, count - j, 0, ahead_k + j * K);
            if (view->masked)
                found = _mm512_max_ps(lowest, found);
            score[j / LANES] = found;
            block_max = _mm512_mask_max_ps(block_max, mask, block_max, found);
            if (weights) {
                float stored[LANES];
                _mm512_storeu_ps(stored, found);
                for (int i = 0; i < LANES && i < count - j; i++)
                    weights[place[j + i]] = stored[i];
            }
        }
        const float before = largest, found = max_of(block_max);
        largest = found > largest ? found : largest;
        const __m512 rescale = exp_f32x16(_mm512_set1_ps(before - largest));
        sum = _mm512_mul_ps(sum, rescale);
        for (int j = 0; j < count; j += LANES) {
            const __mmask16 mask = first_lanes(count - j);
            const __m512 p =
                exp_f32x16(_mm512_sub_ps(score[j / LANES], _mm512_set1_ps(largest)));
            sum = _mm512_mask_add_ps(sum, mask, sum, p);
            _mm512_storeu_ps(weight + j, p);
        }
        add_values(values, view, weight, place, count, _mm512_cvtss_f32(rescale), ahead_v);
    }

    const float total = sum_of(sum);
    if (S == 0 || (view->masked && largest <= -FLT_MAX && total == total)) {
        pyxglm_attend_evenly_avx512(view, t);
        return;
    }
    const float inverse = 1.0f / total; /* apart from the factor: see finish() of the tile */
    float *out = view->out + t * view->out_t;
    for (int64_t k = 0; k < K; k += LANES) {
        const __mmask16 mask = first_lanes(K - k);
        const __m512 mean = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, values + k),
                                          _mm512_set1_ps(inverse));
        _mm512_mask_storeu_ps(out + k, mask, _mm512_mul_ps(mean, _mm512_set1_ps(view->factor)));
    }
    if (weights)
        scores_to_weights(weights, S, largest, inverse, view->factor);
}
