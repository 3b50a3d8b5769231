/* weights = softmax(mask(q k^T)) * head_mask; out = weights v.
 * Reference: pyxglm/ops/reference.py, attention.
 *
 * An online softmax over blocks of PYXGLM_KEY_BLOCK visible keys, lanes are
 * queries. 8 queries go together, as two vectors of 4; a tile is 8 x 8 numbers
 * (scores, or sums of values), 16 accumulators. fmla takes one lane of a
 * vector as a factor, so 4 loads feed 16 FMAs, and nothing is broadcast.
 *
 * Order of the sums, which attention_one_neon.c keeps too: a score adds its
 * products one by one; an output its keys one by one, rescaled at the start
 * of each block; the sum of exponentials in 8 lanes, key j in lane j mod 8. */
#include "arm.h"
#include "attention_neon.h"

#define BLOCK PYXGLM_KEY_BLOCK
#define QUERIES (2 * LANES)
#define GROUPS (PYXGLM_QUERY_BLOCK / QUERIES)
#define TILE 8        /* keys, or values of k, of a tile */
#define FEW_QUERIES 4 /* fewer are faster one by one */

/* 8 queries on their way. Arrays of rows of 8 floats, one for each query. */
typedef struct group {
    float *q;      /* (K) rows */
    float *values; /* (K, up to whole vectors) */
    float *sums;   /* (SUM_LANES) */
    float32x4_t largest[2];
    int32x4_t count[2]; /* keys that each query sees */
    int64_t fewest, most;
} group;

PYXGLM_INLINE int64_t whole_vectors(int64_t K)
{
    return (K + LANES - 1) / LANES * LANES;
}

/* Lanes that see more than j keys of a block, of `seen` they see. */
PYXGLM_INLINE uint32x4_t sees(int32x4_t seen, int j)
{
    return vcgtq_s32(seen, vdupq_n_s32(j));
}

/* scores[j] = q . k[j] for the 8 queries and TILE keys j. */
PYXGLM_INLINE void score_tile(float *scores, const float *q, const float *keys, int64_t K)
{
    float32x4_t low[TILE], high[TILE];
#pragma GCC unroll 8
    for (int j = 0; j < TILE; j++)
        low[j] = high[j] = vdupq_n_f32(0.0f);
    for (int64_t k = 0; k < K; k++) {
        const float32x4_t q_low = vld1q_f32(q + k * QUERIES);
        const float32x4_t q_high = vld1q_f32(q + k * QUERIES + LANES);
#pragma GCC unroll 2
        for (int j = 0; j < TILE; j += LANES) {
            const float32x4_t key = vld1q_f32(keys + k * BLOCK + j);
            add_products(low + j, q_low, key);
            add_products(high + j, q_high, key);
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < TILE; j++) {
        vst1q_f32(scores + j * QUERIES, low[j]);
        vst1q_f32(scores + j * QUERIES + LANES, high[j]);
    }
}

/* values[k] = values[k] * rescale + sum over j of weights[j] * v[j][k], for
 * `width` values of k from `k` on: TILE, or one vector, which may be short. */
PYXGLM_INLINE void value_tile(float *values, const float *weights, const head_view *view,
                              const int64_t *place, int count, const float32x4_t rescale[2],
                              int64_t k, int width)
{
    const int64_t left = width == TILE ? LANES : view->K - k;
    float32x4_t low[TILE], high[TILE];
#pragma GCC unroll 8
    for (int i = 0; i < width; i++) {
        const float *row = values + (k + i) * QUERIES;
        low[i] = vmulq_f32(vld1q_f32(row), rescale[0]);
        high[i] = vmulq_f32(vld1q_f32(row + LANES), rescale[1]);
    }
    for (int j = 0; j < count; j++) {
        const float *v = view->v + place[j] * view->v_s + k;
        const float32x4_t w_low = vld1q_f32(weights + j * QUERIES);
        const float32x4_t w_high = vld1q_f32(weights + j * QUERIES + LANES);
#pragma GCC unroll 2
        for (int i = 0; i < width; i += LANES) {
            const float32x4_t value = load_first(v + i, left);
            add_products(low + i, w_low, value);
            add_products(high + i, w_high, value);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < width; i++) {
        float *row = values + (k + i) * QUERIES;
        vst1q_f32(row, low[i]);
        vst1q_f32(row + LANES, high[i]);
    }
}

/* The same, for one half of the queries, one vector of values, and a block of
 * which some see only the first keys: what a query does not see leaves its sums
 * as they are. */
PYXGLM_INLINE void ragged_value_tile(float *values, const float *weights, const head_view *view,
                                     const int64_t *place, int count, float32x4_t rescale,
                                     int32x4_t seen, int64_t k)
{
    float32x4_t sum[LANES];
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i++)
        sum[i] = vmulq_f32(vld1q_f32(values + (k + i) * QUERIES), rescale);
    for (int j = 0; j < count; j++) {
        const float32x4_t value = load_first(view->v + place[j] * view->v_s + k, view->K - k);
        const float32x4_t weight = vld1q_f32(weights + j * QUERIES);
        const uint32x4_t mask = sees(seen, j);
        float32x4_t next[LANES] = {sum[0], sum[1], sum[2], sum[3]};
        add_products(next, weight, value);
#pragma GCC unroll 4
        for (int i = 0; i < LANES; i++)
            sum[i] = vbslq_f32(mask, next[i], sum[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i++)
        vst1q_f32(values + (k + i) * QUERIES, sum[i]);
}

/* From scores to weights for one half of the queries: the new maximum, what it
 * rescales by, the exponentials and their sums. */
PYXGLM_INLINE float32x4_t weigh(group *g, int half, float *scores, int32x4_t seen, int count,
                                int masked)
{
    const float32x4_t lowest = vdupq_n_f32(-FLT_MAX), before = g->largest[half];
    float32x4_t largest = before;
    for (int j = 0; j < count; j++) {
        float32x4_t score = vld1q_f32(scores + j * QUERIES);
        if (masked)
            score = vmaxq_f32(lowest, score);
        vst1q_f32(scores + j * QUERIES, score);
        largest = vmaxq_f32(largest, vbslq_f32(sees(seen, j), score, lowest));
    }
    g->largest[half] = largest;
    const float32x4_t rescale = exp_f32x4(vsubq_f32(before, largest));
    for (int i = 0; i < SUM_LANES; i++) {
        float *row = g->sums + i * QUERIES + half * LANES;
        float32x4_t sum = vmulq_f32(vld1q_f32(row), rescale);
        for (int j = i; j < count; j += SUM_LANES) {
            const float32x4_t score = vld1q_f32(scores + j * QUERIES);
            const float32x4_t weight = exp_f32x4(vsubq_f32(score, largest));
            vst1q_f32(scores + j * QUERIES, weight);
            sum = vaddq_f32(sum, keep_f32x4(sees(seen, j), weight));
        }
        vst1q_f32(row, sum);
    }
    return rescale;
}

/* Folds a block of keys, the first of which is number `first`, into a group. */
static void fold(group *g, float *scores, const float *keys, const head_view *view,
                 const int64_t *place, int64_t first, int count)
{
    const int64_t K = view->K;
    count = g->most - first < count ? (int)(g->most - first) : count;
    if (count <= 0)
        return;
    for (int j = 0; j < count; j += TILE)
        score_tile(scores + j * QUERIES, g->q, keys + j, K);
    int32x4_t seen[2];
    float32x4_t rescale[2];
    for (int half = 0; half < 2; half++) {
        seen[half] = vsubq_s32(g->count[half], vdupq_n_s32((int32_t)first));
        rescale[half] = weigh(g, half, scores + half * LANES, seen[half], count, view->masked);
    }
    int64_t k = 0;
    if (g->fewest - first >= count) {
        for (; k + TILE <= K; k += TILE)
            value_tile(g->values, scores, view, place, count, rescale, k, TILE);
        for (; k < K; k += LANES)
            value_tile(g->values, scores, view, place, count, rescale, k, LANES);
        return;
    }
    for (int half = 0; half < 2; half++)
        for (k = 0; k < K; k += LANES)
            ragged_value_tile(g->values + half * LANES, scores + half * LANES, view, place, count,
                              rescale[half], seen[half], k);
}

/* Writes the outputs of queries [t, t + queries), at most 4: half of a group. */
static void finish(const group *g, int half, const head_view *view, int64_t t, int queries)
{
    const float *values = g->values + half * LANES, *sums = g->sums + half * LANES;
    float32x4_t pair[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        pair[i] = vaddq_f32(vld1q_f32(sums + i * QUERIES), vld1q_f32(sums + (i + 4) * QUERIES));
    const float32x4_t total = vaddq_f32(vaddq_f32(pair[0], pair[1]), vaddq_f32(pair[2], pair[3]));
    /* Two factors and not their product, which may be too small to be exact. */
    const float32x4_t inverse = vdivq_f32(vdupq_n_f32(1.0f), total);
    for (int64_t k = 0; k < view->K; k += LANES) {
        float32x4_t tile[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            tile[i] = vmulq_f32(vld1q_f32(values + (k + i) * QUERIES), inverse);
        transpose_4x4(tile);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++)
            if (r < queries)
                store_first(view->out + (t + r) * view->out_t + k, view->K - k,
                            vmulq_n_f32(tile[r], view->factor));
    }
    uint32_t nothing[LANES];
    vst1q_u32(nothing, vandq_u32(vcleq_f32(g->largest[half], vdupq_n_f32(-FLT_MAX)),
                                 vceqq_f32(total, total)));
    for (int r = 0; r < queries; r++)
        if (view->S == 0 || (view->masked && nothing[r]))
            pyxglm_attend_evenly_neon(view, t + r);
}

/* A group for queries [t, t + queries), which see `counts` keys. */
static group begin_group(const head_view *view, int64_t t, int queries, const int64_t *counts,
                         float *memory)
{
    const int64_t K = view->K, rows = whole_vectors(K);
    group g = {.q = memory};
    g.values = g.q + K * QUERIES;
    g.sums = g.values + rows * QUERIES;
    int32_t count[QUERIES];
    g.fewest = g.most = counts[0];
    for (int r = 0; r < QUERIES; r++) { /* empty lanes count as much as a query */
        const int64_t own = counts[r < queries ? r : 0];
        count[r] = (int32_t)own;
        g.fewest = own < g.fewest ? own : g.fewest;
        g.most = own > g.most ? own : g.most;
    }
    for (int half = 0; half < 2; half++) {
        g.largest[half] = vdupq_n_f32(-FLT_MAX);
        g.count[half] = vld1q_s32(count + half * LANES);
        transpose_rows(g.q + half * LANES, QUERIES, view->q + (t + half * LANES) * view->q_t,
                       view->q_t, NULL, queries - half * LANES, K);
    }
    memset(g.values, 0, (size_t)((rows + SUM_LANES) * QUERIES) * sizeof(float));
    return g;
}

/* Queries [t0, t1), whose keys are beginnings of those of `common`. */
static void attend_together(const head_view *view, sight common, const int64_t *counts,
                            int64_t t0, int64_t t1, float *scratch)
{
    const int64_t K = view->K, own_rows = K + whole_vectors(K) + SUM_LANES;
    float *keys = scratch, *scores = keys + K * BLOCK;
    float *rest = scores + BLOCK * QUERIES;
    group groups[GROUPS];
    const int used = (int)((t1 - t0 + QUERIES - 1) / QUERIES);
    for (int i = 0; i < used; i++, rest += own_rows * QUERIES) {
        const int64_t left = t1 - t0 - i * QUERIES;
        groups[i] = begin_group(view, t0 + i * QUERIES, left < QUERIES ? (int)left : QUERIES,
                                counts + i * QUERIES, rest);
    }
    int64_t place[BLOCK], s = 0, first = 0;
    for (int count; (count = next_keys(common, &s, place)) > 0; first += count) {
        for (int j = 0; j < (count + TILE - 1) / TILE * TILE; j += LANES)
            transpose_rows(keys + j, BLOCK, view->k, view->k_s, place + j, count - j, K);
        for (int i = 0; i < used; i++)
            fold(&groups[i], scores, keys, view, place, first, count);
    }
    for (int64_t t = t0; t < t1; t += LANES)
        finish(&groups[(t - t0) / QUERIES], (t - t0) / LANES % 2, view, t,
               t1 - t < LANES ? (int)(t1 - t) : LANES);
}

void pyxglm_attention_neon(const pyxglm_attention_args *a, int64_t begin, int64_t end,
                           float *scratch)
{
    for (int64_t i = begin; i < end; i++) {
        const pyxglm_attention_task task = pyxglm_attention_task_at(a, i);
        const head_view view = view_of(a, &task);
        int64_t counts[PYXGLM_QUERY_BLOCK];
        sight common;
        if (!a->weights && task.t1 - task.t0 >= FEW_QUERIES &&
            common_sight(a, task.sequence, task.t0, task.t1, &common, counts))
            attend_together(&view, common, counts, task.t0, task.t1, scratch);
        else
            for (int64_t t = task.t0; t < task.t1; t++)
                pyxglm_attend_one_neon(&view, sight_of(a, task.sequence, t), t, scratch);
    }
}
