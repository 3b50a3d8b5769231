/* Attention of a single query: decoding, masks of free form, weights wanted.
 * Reference: pyxglm/ops/reference.py, attention.
 *
 * The sums must be those of the tile of queries (attention_neon.c), whose
 * lanes are queries: a score adds up its K products one after the other, by
 * fma. Here lanes are keys, so 4 rows of keys are transposed in registers to
 * get there. 16 keys go together: four chains hide each other's latency. */
#include "attention_neon.h"

#define KEYS (4 * LANES)
#define MOST_VECTORS 16 /* of v that are added up at a time */

/* Scores of 16 keys: number j is q . k[place[j]], for j < count. */
PYXGLM_INLINE void scores_of_16(float32x4_t score[4], const head_view *view, const float *q,
                                const int64_t *place, int count)
{
    const int64_t K = view->K;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        score[i] = vdupq_n_f32(0.0f);
    for (int64_t k = 0; k < K; k += LANES) {
        const float32x4_t q_f32x4 = load_first(q + k, K - k);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            float32x4_t column[4];
            load_columns(column, view->k, view->k_s, place + i * LANES, count - i * LANES, k,
                         K - k);
            score[i] = vfmaq_laneq_f32(score[i], column[0], q_f32x4, 0);
            if (K - k > 1)
                score[i] = vfmaq_laneq_f32(score[i], column[1], q_f32x4, 1);
            if (K - k > 2)
                score[i] = vfmaq_laneq_f32(score[i], column[2], q_f32x4, 2);
            if (K - k > 3)
                score[i] = vfmaq_laneq_f32(score[i], column[3], q_f32x4, 3);
        }
    }
}

/* values[k] = values[k] * rescale + sum over j of weight[j] v[place[j]][k], for
 * `vectors` vectors from k on. The last may be short if it is the only one. */
PYXGLM_INLINE void add_values(float *values, const head_view *view, const float *weight,
                              const int64_t *place, int count, float rescale, int64_t k,
                              int vectors)
{
    const int64_t left = vectors == 1 ? view->K - k : LANES;
    float32x4_t sum[MOST_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < vectors; i++)
        sum[i] = vmulq_n_f32(load_first(values + k + i * LANES, left), rescale);
    for (int j = 0; j < count; j++) {
        const float *v = view->v + place[j] * view->v_s + k;
        const float32x4_t weight_f32x4 = vdupq_n_f32(weight[j]);
#pragma GCC unroll 16
        for (int i = 0; i < vectors; i++)
            sum[i] = vfmaq_f32(sum[i], weight_f32x4, load_first(v + i * LANES, left));
    }
#pragma GCC unroll 16
    for (int i = 0; i < vectors; i++)
        store_first(values + k + i * LANES, left, sum[i]);
}

/* row[s] = exp(row[s] - largest) * inverse * factor, over S. */
PYXGLM_INLINE void scores_to_weights(float *row, int64_t S, float largest, float inverse,
                                     float factor)
{
    for (int64_t s = 0; s < S; s += LANES) {
        const float32x4_t score = load_first(row + s, S - s);
        const float32x4_t weight = exp_f32x4(vsubq_f32(score, vdupq_n_f32(largest)));
        store_first(row + s, S - s, vmulq_n_f32(vmulq_n_f32(weight, inverse), factor));
    }
}

void pyxglm_attend_evenly_neon(const head_view *view, int64_t t)
{
    const float share = view->S ? 1.0f / (float)view->S : 0.0f;
    float *out = view->out + t * view->out_t;
    for (int64_t k = 0; k < view->K; k += LANES) {
        float32x4_t sum = vdupq_n_f32(0.0f);
        for (int64_t s = 0; s < view->S; s++)
            sum = vaddq_f32(sum, load_first(view->v + s * view->v_s + k, view->K - k));
        store_first(out + k, view->K - k, vmulq_n_f32(vmulq_n_f32(sum, share), view->factor));
    }
    for (int64_t s = 0; view->weights && s < view->S; s++)
        view->weights[t * view->S + s] = share * view->factor;
}

/* Scores of a block, kept at their places in `weights` too if that is wanted;
 * returns the largest. */
PYXGLM_INLINE float score_block(float *score, float *weights, const head_view *view,
                                const float *q, const int64_t *place, int count)
{
    const float32x4_t lowest = vdupq_n_f32(-FLT_MAX);
    float32x4_t largest = lowest;
    for (int j = 0; j < count; j += KEYS) {
        float32x4_t found[4];
        scores_of_16(found, view, q, place + j, count - j);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const int64_t left = count - j - i * LANES;
            if (view->masked)
                found[i] = vmaxq_f32(lowest, found[i]);
            vst1q_f32(score + j + i * LANES, found[i]);
            largest = vmaxq_f32(largest, vbslq_f32(first_lanes(left), found[i], lowest));
        }
    }
    for (int j = 0; weights && j < count; j++)
        weights[place[j]] = score[j];
    return vmaxvq_f32(largest);
}

/* From scores to weights; sum += weights, by lanes. */
PYXGLM_INLINE void weigh_block(float32x4_t sum[2], float *score, int count, float largest)
{
    for (int j = 0; j < count; j += SUM_LANES)
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            float *at = score + j + i * LANES;
            const float32x4_t p = exp_f32x4(vsubq_f32(vld1q_f32(at), vdupq_n_f32(largest)));
            sum[i] = vaddq_f32(sum[i], keep_f32x4(first_lanes(count - j - i * LANES), p));
            vst1q_f32(at, p);
        }
}

void pyxglm_attend_one_neon(const head_view *view, sight own, int64_t t, float *values)
{
    const int64_t K = view->K, S = view->S;
    const float *q = view->q + t * view->q_t;
    float *weights = view->weights ? view->weights + t * S : NULL;
    int64_t place[PYXGLM_KEY_BLOCK], s = 0;
    float score[PYXGLM_KEY_BLOCK], largest = -FLT_MAX;
    float32x4_t sum[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    memset(values, 0, (size_t)K * sizeof *values);
    for (int64_t i = 0; weights && i < S; i++)
        weights[i] = -INFINITY;

    for (int count; (count = next_keys(own, &s, place)) > 0;) {
        const float before = largest, found = score_block(score, weights, view, q, place, count);
        largest = found > largest ? found : largest;
        const float32x4_t rescale = exp_f32x4(vdupq_n_f32(before - largest));
        const float rescale_f32 = vgetq_lane_f32(rescale, 0);
        sum[0] = vmulq_f32(sum[0], rescale);
        sum[1] = vmulq_f32(sum[1], rescale);
        weigh_block(sum, score, count, largest);
        int64_t k = 0;
        for (; k + MOST_VECTORS * LANES <= K; k += MOST_VECTORS * LANES)
            add_values(values, view, score, place, count, rescale_f32, k, MOST_VECTORS);
        for (; k + 4 * LANES <= K; k += 4 * LANES)
            add_values(values, view, score, place, count, rescale_f32, k, 4);
        for (; k < K; k += LANES)
            add_values(values, view, score, place, count, rescale_f32, k, 1);
    }

    const float total = sum_of(vaddq_f32(sum[0], sum[1]));
    if (S == 0 || (view->masked && largest <= -FLT_MAX && total == total)) {
        pyxglm_attend_evenly_neon(view, t);
        return;
    }
    const float inverse = 1.0f / total; /* apart from the factor: see finish() of the tile */
    float *out = view->out + t * view->out_t;
    for (int64_t k = 0; k < K; k += LANES) {
        const float32x4_t mean = vmulq_n_f32(load_first(values + k, K - k), inverse);
        store_first(out + k, K - k, vmulq_n_f32(mean, view->factor));
    }
    if (weights)
        scores_to_weights(weights, S, largest, inverse, view->factor);
}
