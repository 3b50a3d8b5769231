/* Attention. Reference: pyxglm/ops/reference.py, attention.
 *
 * A query walks once over the keys it may see and keeps three things: the
 * largest score so far, the sum of exp(score - largest), and the values
 * weighted so. A larger score rescales the other two (Milakov and Gimelshein
 * 2018, "Online normalizer calculation for softmax"). This happens by blocks
 * of PYXGLM_KEY_BLOCK visible keys: hidden keys are not counted, so they move
 * no boundary and no bit. */
#include "scalar.h"

#include <float.h>
#include <math.h>

typedef struct state {
    float largest, sum;
    float *values; /* (K), weighted by exp(score - largest) */
} state;

/* Folds `count` keys, chosen by `at`, into the state. */
static void fold(state *run, const float *score, const int64_t *at, int count, const float *v,
                 int64_t v_s, int64_t K)
{
    const float before = run->largest;
    for (int i = 0; i < count; i++)
        run->largest = score[i] > run->largest ? score[i] : run->largest;
    /* While all scores are -inf there is nothing to be relative to. */
    const float shift = run->largest == -INFINITY ? 0.0f : run->largest;
    const float rescale = expf(before - shift);
    run->sum *= rescale;
    for (int64_t k = 0; k < K; k++)
        run->values[k] *= rescale;
    for (int i = 0; i < count; i++) {
        const float weight = expf(score[i] - shift);
        const float *value = v + at[i] * v_s;
        run->sum += weight;
        for (int64_t k = 0; k < K; k++)
            run->values[k] += weight * value[k];
    }
}

static void attend(const pyxglm_attention_args *a, const pyxglm_sequence *sequence, int64_t h,
                   int64_t t, float *values)
{
    const int64_t K = a->K, S = sequence->S;
    const float *q = a->q + sequence->q + t * a->q_t + h * a->q_h;
    const float *keys = a->k + sequence->k + h * a->k_h;
    const float *v = a->v + sequence->v + h * a->v_h;
    float *out = a->out + sequence->out + t * a->out_t + h * a->out_h;
    float *weights = a->weights
                         ? a->weights + sequence->weights + (h * sequence->T + t) * S
                         : NULL;
    const int masked = pyxglm_is_masked(a, sequence);
    state run;

    /* A second walk, over all keys with equal scores, is for a query that may
     * see none, or whose scores are all at the bottom: see the reference. */
    for (int evenly = 0; evenly < 2; evenly++) {
        float score[PYXGLM_KEY_BLOCK];
        int64_t at[PYXGLM_KEY_BLOCK];
        int count = 0;
        run = (state){masked ? -FLT_MAX : -INFINITY, 0.0f, values};
        memset(values, 0, (size_t)K * sizeof *values);
        for (int64_t s = 0; s < S; s++) {
            if (!evenly && !pyxglm_may_see(a, sequence, t, s)) {
                if (weights)
                    weights[s] = -INFINITY;
                continue;
            }
            float dot = evenly ? -FLT_MAX : dot_f32(q, keys + s * a->k_s, K);
            if (masked && dot < -FLT_MAX)
                dot = -FLT_MAX;
            if (weights)
                weights[s] = dot;
            score[count] = dot;
            at[count++] = s;
            if (count == PYXGLM_KEY_BLOCK) {
                fold(&run, score, at, count, v, a->v_s, K);
                count = 0;
            }
        }
        if (count)
            fold(&run, score, at, count, v, a->v_s, K);
        if (!masked || run.largest > -FLT_MAX || run.sum != run.sum)
            break;
    }

    const float factor = a->head_mask ? a->head_mask[h] : 1.0f;
    if (S == 0)
        run.sum = 1.0f; /* no keys: the values stay 0 */
    for (int64_t k = 0; k < K; k++)
        out[k] = values[k] / run.sum * factor;
    for (int64_t s = 0; weights && s < S; s++)
        weights[s] = expf(weights[s] - run.largest) / run.sum * factor;
}

void pyxglm_attention_scalar(const pyxglm_attention_args *a, int64_t begin, int64_t end,
                             float *scratch)
{
    for (int64_t i = begin; i < end; i++) {
        const pyxglm_attention_task task = pyxglm_attention_task_at(a, i);
        for (int64_t t = task.t0; t < task.t1; t++)
            attend(a, task.sequence, task.h, t, scratch);
    }
}
