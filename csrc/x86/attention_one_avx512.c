/* Attention of a single query: decoding, masks of free form, weights wanted.
 * Reference: pyxglm/ops/reference.py, attention. Bound by reading the cache:
 * 512 bytes a key (K = 64), about 80 cycles at 20 GB/s, against 50 of work.
 *
 * The sums must be those of the tile of queries (attention_avx512.c), whose
 * lanes are queries: a score adds up its K products one after the other, by
 * fma. Here lanes are keys, so 16 rows of keys are transposed in registers to
 * get there, 64 shuffles for 16 x 16; the other way to multiply, lanes along
 * K, would need 60 for the sums over lanes, so nothing is lost.
 *
 * What reads memory faster than one CPU can ask for line by line is the
 * prefetcher of its second cache, and that follows whoever reads in order. So
 * keys are read in long runs, then as many values; and what is transposed is a
 * copy of 16 rows that were read in order. Only where the next head begins it
 * has to be told. */
#include "attention_avx512.h"

/* Copies `width` columns of 16 rows, from column `k` on: row j is key place[j],
 * or 0 from `count` on. Vectors are whole, ends are filled up with 0. */
INLINE512 void copy_rows(float *rows, const head_view *view, const int64_t *place, int count,
                         int64_t k, int64_t width)
{
    if (count == 16 && place[15] - place[0] == 15 && view->k_s == width && width % LANES == 0) {
        const float *from = view->k + place[0] * width;
#pragma GCC unroll 8
        for (int64_t i = 0; i < 16 * width; i += LANES)
            _mm512_store_ps(rows + i, _mm512_loadu_ps(from + i));
        return;
    }
    for (int j = 0; j < 16; j++) {
        const float *from = view->k + place[j < count ? j : 0] * view->k_s + k;
        for (int64_t i = 0; i < width; i += LANES, rows += LANES) {
            const __mmask16 mask = j < count ? first_lanes(width - i) : 0;
            _mm512_store_ps(rows, _mm512_maskz_loadu_ps(mask, from + i));
        }
    }
}

/* Scores of 16 keys: lane j is q . k[place[j]], for j < count. */
INLINE512 __m512 scores_of_16(const head_view *view, const float *q, const int64_t *place,
                              int count)
{
    _Alignas(64) float rows[16 * PANEL];
    __m512 score = _mm512_setzero_ps();
    for (int64_t panel = 0; panel < view->K; panel += PANEL) {
        const int64_t width = min_i64(PANEL, view->K - panel);
        const int64_t stride = (width + LANES - 1) / LANES * LANES;
        copy_rows(rows, view, place, count, panel, width);
        for (int64_t k = 0; k < width; k += LANES) {
            const float *factor = q + panel + k;
            __m512 column[16];
#pragma GCC unroll 16
            for (int j = 0; j < 16; j++)
                column[j] = _mm512_load_ps(rows + j * stride + k);
            transpose_16x16(column);
            if (width - k >= LANES)
#pragma GCC unroll 16
                for (int i = 0; i < 16; i++)
                    score = _mm512_fmadd_ps(column[i], _mm512_set1_ps(factor[i]), score);
            else
#pragma GCC unroll 16
                for (int i = 0; i < 16; i++)
                    if (i < width - k)
                        score = _mm512_fmadd_ps(column[i], _mm512_set1_ps(factor[i]), score);
        }
    }
    return score;
}

/* Scores of a block, kept at their places in `weights` too if that is wanted;
 * returns the largest. */
INLINE512 float score_block(float *score, float *weights, const head_view *view, const float *q,
                            const int64_t *place, int count)
{
    const __m512 lowest = _mm512_set1_ps(-FLT_MAX);
    __m512 largest = lowest;
    for (int j = 0; j < count; j += LANES) {
        const __mmask16 mask = first_lanes(count - j);
        __m512 found = count - j >= LANES ? scores_of_16(view, q, place + j, LANES)
                                          : scores_of_16(view, q, place + j, count - j);
        if (view->masked)
            found = _mm512_max_ps(lowest, found);
        _mm512_storeu_ps(score + j, found);
        largest = _mm512_mask_max_ps(largest, mask, largest, found);
    }
    for (int j = 0; weights && j < count; j++)
        weights[place[j]] = score[j];
    return max_of(largest);
}

/* From scores to weights; returns sum + weights, by lanes. */
INLINE512 __m512 weigh_block(__m512 sum, float *score, int count, float largest)
{
    for (int j = 0; j < count; j += LANES) {
        const __m512 p =
            exp_f32x16(_mm512_sub_ps(_mm512_loadu_ps(score + j), _mm512_set1_ps(largest)));
        sum = _mm512_mask_add_ps(sum, first_lanes(count - j), sum, p);
        _mm512_storeu_ps(score + j, p);
    }
    return sum;
}

/* sum += weight[j] row[j], rows of 4 vectors, `stride` apart. The fewer instructions there
 * are to a line, the more lines a CPU sees ahead, and asks for: hence no masks here. */
INLINE512 void add_in_order(__m512 sum[4], const float *row, int64_t stride,
                            const float *weight, int count)
{
#pragma GCC unroll 4
    for (int j = 0; j < count; j++, row += stride) {
        const __m512 weight_f32x16 = _mm512_set1_ps(weight[j]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            sum[i] = _mm512_fmadd_ps(weight_f32x16, _mm512_loadu_ps(row + i * LANES), sum[i]);
    }
}

/* values[k] = values[k] * rescale + sum over j of weight[j] v[place[j]][k]. */
INLINE512 void add_values(float *values, const head_view *view, const float *weight,
                          const int64_t *place, int count, float rescale)
{
    const __m512 rescale_f32x16 = _mm512_set1_ps(rescale);
    const int in_order = place[count - 1] - place[0] == count - 1;
    for (int64_t k = 0; k < view->K; k += 4 * LANES) {
        const __mmask16 mask[4] = {first_lanes(view->K - k), first_lanes(view->K - k - LANES),
                                   first_lanes(view->K - k - 2 * LANES),
                                   first_lanes(view->K - k - 3 * LANES)};
        __m512 sum[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            sum[i] = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask[i], values + k + i * LANES),
                                   rescale_f32x16);
        if (in_order && view->K - k >= 4 * LANES)
            add_in_order(sum, view->v + place[0] * view->v_s + k, view->v_s, weight, count);
        else for (int j = 0; j < count; j++) {
            const float *v = view->v + place[j] * view->v_s + k;
            const __m512 weight_f32x16 = _mm512_set1_ps(weight[j]);
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
    int64_t place[PYXGLM_KEY_BLOCK], s = 0, from;
    float score[RUN][PYXGLM_KEY_BLOCK], maximum[RUN], largest = -FLT_MAX;
    __m512 sum = _mm512_setzero_ps(); /* lane i: of keys i, i + 16, ... */
    memset(values, 0, (size_t)K * sizeof *values);
    for (int64_t i = 0; weights && i < S; i++)
        weights[i] = -INFINITY;

    for (int blocks = RUN; blocks == RUN;) {
        from = s;
        blocks = 0;
        for (int count; blocks < RUN && (count = next_keys(own, &s, place)) > 0; blocks++)
            maximum[blocks] = score_block(score[blocks], weights, view, q, place, count);
        if (from == 0)
            ask_for(view->k + view->k_h, view->k_s, own.limit, K);
        for (int i = 0; i < blocks; i++) {
            const int count = next_keys(own, &from, place);
            const float before = largest;
            largest = maximum[i] > largest ? maximum[i] : largest;
            const __m512 rescale = exp_f32x16(_mm512_set1_ps(before - largest));
            sum = weigh_block(_mm512_mul_ps(sum, rescale), score[i], count, largest);
            add_values(values, view, score[i], place, count, _mm512_cvtss_f32(rescale));
        }
    }

    ask_for(view->v + view->v_h, view->v_s, own.limit, K);

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
