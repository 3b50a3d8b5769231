/* Attention of a single query: decoding, masks of free form, weights wanted.
 * Reference: pyxglm/ops/reference.py, attention.
 *
 * As attention_one_avx512.c, on 8 lanes. The sums must be those of the tile of
 * queries (attention_avx2.c), whose lanes are queries: a score adds up its K
 * products one after the other, by fma. Here lanes are keys, so 8 rows of keys
 * are transposed in registers to get there, 24 shuffles for 8 x 8. */
#include "attention_avx2.h"

#define KEYS 16 /* rows of keys that are copied at a time */

/* Copies `width` columns of 16 rows, from column `k` on: row j is key place[j],
 * or 0 from `count` on. Vectors are whole, ends are filled up with 0. */
INLINE256 void copy_rows(float *rows, const head_view *view, const int64_t *place, int count,
                         int64_t k, int64_t width)
{
    if (count == KEYS && place[KEYS - 1] - place[0] == KEYS - 1 && view->k_s == width &&
        width % LANES == 0) {
        const float *from = view->k + place[0] * width;
#pragma GCC unroll 8
        for (int64_t i = 0; i < KEYS * width; i += LANES)
            _mm256_store_ps(rows + i, _mm256_loadu_ps(from + i));
        return;
    }
    for (int j = 0; j < KEYS; j++)
        for (int64_t i = 0; i < width; i += LANES, rows += LANES)
            _mm256_store_ps(rows, j < count ? load_first(view->k + place[j] * view->k_s + k + i,
                                                         width - i)
                                            : _mm256_setzero_ps());
}

/* Scores of 16 keys: lane j of both vectors is q . k[place[j]], for j < count. */
INLINE256 void scores_of_16(__m256 score[2], const head_view *view, const float *q,
                            const int64_t *place, int count)
{
    _Alignas(32) float rows[KEYS * PANEL];
    score[0] = score[1] = _mm256_setzero_ps();
    for (int64_t panel = 0; panel < view->K; panel += PANEL) {
        const int64_t width = min_i64(PANEL, view->K - panel);
        const int64_t stride = (width + LANES - 1) / LANES * LANES;
        copy_rows(rows, view, place, count, panel, width);
        for (int64_t k = 0; k < width; k += LANES)
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                __m256 column[8];
#pragma GCC unroll 8
                for (int j = 0; j < 8; j++)
                    column[j] = _mm256_load_ps(rows + (8 * half + j) * stride + k);
                transpose_8x8(column);
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++)
                    if (i < width - k)
                        score[half] = _mm256_fmadd_ps(
                            column[i], _mm256_set1_ps(q[panel + k + i]), score[half]);
            }
    }
}

/* Scores of a block, kept at their places in `weights` too if that is wanted;
 * returns the largest. */
INLINE256 float score_block(float *score, float *weights, const head_view *view, const float *q,
                            const int64_t *place, int count)
{
    const __m256 lowest = _mm256_set1_ps(-FLT_MAX);
    __m256 largest = lowest;
    for (int j = 0; j < count; j += KEYS) {
        __m256 found[2];
        scores_of_16(found, view, q, place + j, count - j < KEYS ? count - j : KEYS);
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const int at = j + half * LANES;
            if (view->masked)
                found[half] = _mm256_max_ps(lowest, found[half]);
            _mm256_storeu_ps(score + at, found[half]);
            largest = _mm256_max_ps(largest,
                                    select_f32x8(first_lanes(count - at), found[half], lowest));
        }
    }
    for (int j = 0; weights && j < count; j++)
        weights[place[j]] = score[j];
    return max_of(largest);
}

/* From scores to weights; returns sum + weights, by lanes. */
INLINE256 __m256 weigh_block(__m256 sum, float *score, int count, float largest)
{
    for (int j = 0; j < count; j += LANES) {
        const __m256 mask = _mm256_castsi256_ps(first_lanes(count - j));
        __m256 p = _mm256_sub_ps(_mm256_loadu_ps(score + j), _mm256_set1_ps(largest));
        exp_of_each(&p, 1);
        sum = _mm256_add_ps(sum, _mm256_and_ps(p, mask));
        _mm256_storeu_ps(score + j, p);
    }
    return sum;
}

/* sum += weight[j] row[j], rows of 8 vectors, `stride` apart: as little as can be
 * between one line and the next. */
INLINE256 void add_in_order(__m256 sum[8], const float *row, int64_t stride,
                            const float *weight, int count)
{
#pragma GCC unroll 2
    for (int j = 0; j < count; j++, row += stride) {
        const __m256 weight_f32x8 = _mm256_set1_ps(weight[j]);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] = _mm256_fmadd_ps(weight_f32x8, _mm256_loadu_ps(row + i * LANES), sum[i]);
    }
}

/* values[k] = values[k] * rescale + sum over j of weight[j] v[place[j]][k], for
 * vectors at k, k + 8 ... `vectors` of them, the last of which may be short. */
INLINE256 void add_values(float *values, const head_view *view, const float *weight,
                          const int64_t *place, int count, float rescale, int64_t k, int vectors)
{
    const __m256 rescale_f32x8 = _mm256_set1_ps(rescale);
    __m256 sum[8];
#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++)
        sum[i] = _mm256_mul_ps(load_first(values + k + i * LANES, view->K - k - i * LANES),
                               rescale_f32x8);
    if (vectors == 8 && place[count - 1] - place[0] == count - 1)
        add_in_order(sum, view->v + place[0] * view->v_s + k, view->v_s, weight, count);
    else for (int j = 0; j < count; j++) {
        const float *v = view->v + place[j] * view->v_s + k;
        const __m256 weight_f32x8 = _mm256_set1_ps(weight[j]);
#pragma GCC unroll 8
        for (int i = 0; i < vectors; i++) {
            const __m256 v_f32x8 = vectors == 8 ? _mm256_loadu_ps(v + i * LANES)
                                                : load_first(v, view->K - k);
            sum[i] = _mm256_fmadd_ps(weight_f32x8, v_f32x8, sum[i]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < vectors; i++)
        store_first(values + k + i * LANES, view->K - k - i * LANES, sum[i]);
}

/* row[s] = exp(row[s] - largest) * inverse * factor, over S. */
INLINE256 void scores_to_weights(float *row, int64_t S, float largest, float inverse,
                                 float factor)
{
    for (int64_t s = 0; s < S; s += LANES) {
        const __m256 score = load_first(row + s, S - s);
        __m256 weight = _mm256_sub_ps(score, _mm256_set1_ps(largest));
        exp_of_each(&weight, 1);
        const __m256 share = _mm256_mul_ps(weight, _mm256_set1_ps(inverse));
        store_first(row + s, S - s, _mm256_mul_ps(share, _mm256_set1_ps(factor)));
    }
}

PYXGLM_TARGET_AVX2 void pyxglm_attend_evenly_avx2(const head_view *view, int64_t t)
{
    const float share = view->S ? 1.0f / (float)view->S : 0.0f;
    float *out = view->out + t * view->out_t;
    for (int64_t k = 0; k < view->K; k += LANES) {
        __m256 sum = _mm256_setzero_ps();
        for (int64_t s = 0; s < view->S; s++)
            sum = _mm256_add_ps(sum, load_first(view->v + s * view->v_s + k, view->K - k));
        const __m256 mean = _mm256_mul_ps(sum, _mm256_set1_ps(share));
        store_first(out + k, view->K - k, _mm256_mul_ps(mean, _mm256_set1_ps(view->factor)));
    }
    for (int64_t s = 0; view->weights && s < view->S; s++)
        view->weights[t * view->S + s] = share * view->factor;
}

PYXGLM_TARGET_AVX2 void pyxglm_attend_one_avx2(const head_view *view, sight own, int64_t t,
                                               float *values)
{
    const int64_t K = view->K, S = view->S;
    const float *q = view->q + t * view->q_t;
    float *weights = view->weights ? view->weights + t * S : NULL;
    int64_t place[PYXGLM_KEY_BLOCK], s = 0, from;
    float score[RUN][PYXGLM_KEY_BLOCK], maximum[RUN], largest = -FLT_MAX;
    __m256 sum = _mm256_setzero_ps(); /* lane i: of keys i, i + 8, ... */
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
            __m256 rescale = _mm256_set1_ps(before - largest);
            exp_of_each(&rescale, 1);
            const float rescale_f32 = _mm256_cvtss_f32(rescale);
            sum = weigh_block(_mm256_mul_ps(sum, rescale), score[i], count, largest);
            int64_t k = 0;
            for (; k + 8 * LANES <= K; k += 8 * LANES)
                add_values(values, view, score[i], place, count, rescale_f32, k, 8);
            for (; k < K; k += LANES)
                add_values(values, view, score[i], place, count, rescale_f32, k, 1);
        }
    }
    ask_for(view->v + view->v_h, view->v_s, own.limit, K);

    const float total = sum_of(sum);
    if (S == 0 || (view->masked && largest <= -FLT_MAX && total == total)) {
        pyxglm_attend_evenly_avx2(view, t);
        return;
    }
    const float inverse = 1.0f / total; /* apart from the factor: see finish() of the tile */
    float *out = view->out + t * view->out_t;
    for (int64_t k = 0; k < K; k += LANES) {
        const __m256 mean =
            _mm256_mul_ps(load_first(values + k, K - k), _mm256_set1_ps(inverse));
        store_first(out + k, K - k, _mm256_mul_ps(mean, _mm256_set1_ps(view->factor)));
    }
    if (weights)
        scores_to_weights(weights, S, largest, inverse, view->factor);
}
