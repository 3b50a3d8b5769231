/* weights = softmax(mask(q k^T)) * head_mask; out = weights v.
 * Reference: pyxglm/ops/reference.py, attention.
 *
 * As attention_avx512.c: an online softmax over blocks of 64 visible keys,
 * lanes are queries. 16 queries go together, as two vectors of 8, so that a
 * number broadcast from memory serves two FMAs: a tile of 6 x 2 accumulators
 * takes 8 loads for 12 FMAs, and 15 of the 16 registers.
 *
 * Order of the sums, which attention_one_avx2.c keeps too: a score adds its
 * products one by one; an output its keys one by one, rescaled at the start
 * of each block; the sum of exponentials in 8 lanes, key j in lane j mod 8. */
#include "attention_avx2.h"
#include "x86.h"

#define BLOCK PYXGLM_KEY_BLOCK
#define QUERIES (2 * LANES)
#define GROUPS (PYXGLM_QUERY_BLOCK / QUERIES)
#define TILE 6           /* keys, or values of k, of a tile */
#define KEYS_STRIDE 72   /* keys of a transposed block: 64, up to whole tiles and vectors */
#define FEW_QUERIES 4    /* fewer are faster one by one */

/* 16 queries on their way. Arrays of rows of 16 floats, one for each query. */
typedef struct group {
    float *q;      /* (K) rows */
    float *values; /* (K) */
    float *sums;   /* (8) */
    __m256 largest[2];
    __m256i count[2]; /* keys that each query sees */
    int64_t fewest, most;
} group;

/* Lanes of half i that see more than j keys of a block, of `seen` they see. */
INLINE256 __m256 sees_f32x8(__m256i seen, int j)
{
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(seen, _mm256_set1_epi32(j)));
}

/* scores[j] = q . k[j] for the 16 queries and TILE keys j. */
INLINE256 void score_tile(float *scores, const float *q, const float *keys, int64_t K)
{
    __m256 low[TILE], high[TILE];
#pragma GCC unroll 6
    for (int j = 0; j < TILE; j++)
        low[j] = high[j] = _mm256_setzero_ps();
    for (int64_t k = 0; k < K; k++) {
        __m256 q_low = _mm256_loadu_ps(q + k * QUERIES);
        __m256 q_high = _mm256_loadu_ps(q + k * QUERIES + LANES);
        PYXGLM_IN_REGISTER(q_low);
        PYXGLM_IN_REGISTER(q_high);
#pragma GCC unroll 6
        for (int j = 0; j < TILE; j++) {
            const __m256 key = _mm256_set1_ps(keys[k * KEYS_STRIDE + j]);
            low[j] = _mm256_fmadd_ps(q_low, key, low[j]);
            high[j] = _mm256_fmadd_ps(q_high, key, high[j]);
        }
    }
#pragma GCC unroll 6
    for (int j = 0; j < TILE; j++) {
        _mm256_storeu_ps(scores + j * QUERIES, low[j]);
        _mm256_storeu_ps(scores + j * QUERIES + LANES, high[j]);
    }
}

/* values[k] = values[k] * rescale + sum over j of weights[j] * v[j][k], for
 * `width` values of k from `k` on. */
INLINE256 void value_tile(float *values, const float *weights, const head_view *view,
                          const int64_t *place, int count, const __m256 rescale[2], int64_t k,
                          int width)
{
    __m256 low[TILE], high[TILE];
#pragma GCC unroll 6
    for (int i = 0; i < width; i++) {
        const float *row = values + (k + i) * QUERIES;
        low[i] = _mm256_mul_ps(_mm256_loadu_ps(row), rescale[0]);
        high[i] = _mm256_mul_ps(_mm256_loadu_ps(row + LANES), rescale[1]);
    }
    for (int j = 0; j < count; j++) {
        const float *v = view->v + place[j] * view->v_s + k;
        __m256 w_low = _mm256_loadu_ps(weights + j * QUERIES);
        __m256 w_high = _mm256_loadu_ps(weights + j * QUERIES + LANES);
        PYXGLM_IN_REGISTER(w_low);
        PYXGLM_IN_REGISTER(w_high);
#pragma GCC unroll 6
        for (int i = 0; i < width; i++) {
            const __m256 value = _mm256_set1_ps(v[i]);
            low[i] = _mm256_fmadd_ps(w_low, value, low[i]);
            high[i] = _mm256_fmadd_ps(w_high, value, high[i]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < width; i++) {
        float *row = values + (k + i) * QUERIES;
        _mm256_storeu_ps(row, low[i]);
        _mm256_storeu_ps(row + LANES, high[i]);
    }
}

/* The same, for one half of the queries and a block of which some see only the
 * first keys: what a query does not see leaves its sums as they are. */
INLINE256 void ragged_value_tile(float *values, const float *weights, const head_view *view,
                                 const int64_t *place, int count, __m256 rescale, __m256i seen,
                                 int64_t k, int width)
{
    __m256 sum[TILE];
#pragma GCC unroll 6
    for (int i = 0; i < width; i++)
        sum[i] = _mm256_mul_ps(_mm256_loadu_ps(values + (k + i) * QUERIES), rescale);
    for (int j = 0; j < count; j++) {
        const float *v = view->v + place[j] * view->v_s + k;
        const __m256 weight = _mm256_loadu_ps(weights + j * QUERIES);
        const __m256 sees = sees_f32x8(seen, j);
#pragma GCC unroll 6
        for (int i = 0; i < width; i++) {
            const __m256 next = _mm256_fmadd_ps(weight, _mm256_set1_ps(v[i]), sum[i]);
            sum[i] = _mm256_blendv_ps(sum[i], next, sees);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < width; i++)
        _mm256_storeu_ps(values + (k + i) * QUERIES, sum[i]);
}

/* From scores to weights for one half of the queries: the new maximum, what it
 * rescales by, the exponentials and their sums. `all`: every query sees every key. Scores of
 * minus infinity need no care: see attention_avx512.c. */
INLINE256 __m256 weigh(group *g, int half, float *scores, __m256i seen, int count, int all)
{
    const __m256 lowest = _mm256_set1_ps(-FLT_MAX), before = g->largest[half];
    __m256 largest = before;
    for (int j = 0; j < count; j++) {
        __m256 score = _mm256_loadu_ps(scores + j * QUERIES);
        if (!all)
            score = _mm256_blendv_ps(lowest, score, sees_f32x8(seen, j));
        largest = _mm256_max_ps(score, largest);
    }
    g->largest[half] = largest;
    __m256 rescale = _mm256_sub_ps(before, largest);
    exp_of_each(&rescale, 1);
    for (int i = 0; i < LANES; i++) {
        float *row = g->sums + i * QUERIES + half * LANES;
        __m256 sum = _mm256_mul_ps(_mm256_loadu_ps(row), rescale);
        const int step = all ? 4 : 1; /* of a whole block, four at a time */
        for (int j = i; j < count; j += step * LANES) {
            __m256 weight[4];
#pragma GCC unroll 4
            for (int n = 0; n < step; n++)
                weight[n] = _mm256_sub_ps(
                    _mm256_loadu_ps(scores + (j + n * LANES) * QUERIES), largest);
            exp_of_each(weight, step);
#pragma GCC unroll 4
            for (int n = 0; n < step; n++) {
                _mm256_storeu_ps(scores + (j + n * LANES) * QUERIES, weight[n]);
                sum = _mm256_add_ps(
                    sum, all ? weight[n] : _mm256_and_ps(weight[n], sees_f32x8(seen, j)));
            }
        }
        _mm256_storeu_ps(row, sum);
    }
    return rescale;
}

/* Folds a block of keys, the first of which is number `first`, into a group. */
PYXGLM_TARGET_AVX2 static void fold(group *g, float *scores, const float *keys,
                                    const head_view *view, const int64_t *place, int64_t first,
                                    int count)
{
    const int64_t K = view->K;
    count = g->most - first < count ? (int)(g->most - first) : count;
    if (count <= 0)
        return;
    for (int j = 0; j < count; j += TILE)
        score_tile(scores + j * QUERIES, g->q, keys + j, K);
    __m256i seen[2];
    __m256 rescale[2];
    for (int half = 0; half < 2; half++) {
        seen[half] = _mm256_sub_epi32(g->count[half], _mm256_set1_epi32((int)first));
        float *own = scores + half * LANES;
        rescale[half] = g->fewest - first >= BLOCK
                            ? weigh(g, half, own, seen[half], BLOCK, 1)
                            : weigh(g, half, own, seen[half], count, 0);
    }
    int64_t k = 0;
    if (g->fewest - first >= count) {
        for (; k + TILE <= K; k += TILE)
            value_tile(g->values, scores, view, place, count, rescale, k, TILE);
        for (; k + 4 <= K; k += 4)
            value_tile(g->values, scores, view, place, count, rescale, k, 4);
        for (; k < K; k++)
            value_tile(g->values, scores, view, place, count, rescale, k, 1);
        return;
    }
    for (int half = 0; half < 2; half++) {
        float *values = g->values + half * LANES, *weights = scores + half * LANES;
        for (k = 0; k + TILE <= K; k += TILE)
            ragged_value_tile(values, weights, view, place, count, rescale[half], seen[half], k,
                              TILE);
        for (; k < K; k++)
            ragged_value_tile(values, weights, view, place, count, rescale[half], seen[half], k,
                              1);
    }
}

/* Writes the outputs of queries [t, t + queries), at most 8: half of a group. */
PYXGLM_TARGET_AVX2 static void finish(group *g, int half, const head_view *view, int64_t t,
                                      int queries)
{
    const float *values = g->values + half * LANES;
    __m256 lane[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        lane[i] = _mm256_loadu_ps(g->sums + i * QUERIES + half * LANES);
    const __m256 total = _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(lane[0], lane[1]),
                                                     _mm256_add_ps(lane[2], lane[3])),
                                       _mm256_add_ps(_mm256_add_ps(lane[4], lane[5]),
                                                     _mm256_add_ps(lane[6], lane[7])));
    /* Two factors and not their product, which may be too small to be exact. */
    const __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1.0f), total);
    const __m256 factor = _mm256_set1_ps(view->factor);
    for (int64_t k = 0; k < view->K; k += LANES) {
        __m256 tile[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            tile[i] = i < view->K - k
                          ? _mm256_mul_ps(_mm256_loadu_ps(values + (k + i) * QUERIES), inverse)
                          : _mm256_setzero_ps();
        transpose_8x8(tile);
#pragma GCC unroll 8
        for (int r = 0; r < 8; r++)
            if (r < queries)
                store_first(view->out + (t + r) * view->out_t + k, view->K - k,
                            _mm256_mul_ps(tile[r], factor));
    }
    const int nothing = _mm256_movemask_ps(_mm256_and_ps(
        _mm256_cmp_ps(g->largest[half], _mm256_set1_ps(-FLT_MAX), _CMP_LE_OQ),
        _mm256_cmp_ps(total, total, _CMP_EQ_OQ)));
    for (int r = 0; r < queries && r < LANES; r++)
        if (view->S == 0 || (view->masked && (nothing >> r & 1)))
            pyxglm_attend_evenly_avx2(view, t + r);
}

/* A group for queries [t, t + queries), which see `counts` keys. */
PYXGLM_TARGET_AVX2 static group begin_group(const head_view *view, int64_t t, int queries,
                                            const int64_t *counts, float *memory)
{
    const int64_t K = view->K;
    group g = {.q = memory, .values = memory + K * QUERIES, .sums = memory + 2 * K * QUERIES};
    int32_t count[QUERIES];
    g.fewest = g.most = counts[0];
    for (int r = 0; r < QUERIES; r++) { /* empty lanes count as much as a query */
        const int64_t own = counts[r < queries ? r : 0];
        count[r] = (int32_t)own;
        g.fewest = own < g.fewest ? own : g.fewest;
        g.most = own > g.most ? own : g.most;
    }
    for (int half = 0; half < 2; half++) {
        g.largest[half] = _mm256_set1_ps(-FLT_MAX);
        g.count[half] = _mm256_loadu_si256((const void *)(count + half * LANES));
        transpose_rows(g.q + half * LANES, QUERIES, view->q + (t + half * LANES) * view->q_t,
                       view->q_t, NULL, queries - half * LANES, K);
    }
    memset(g.values, 0, (size_t)((K + LANES) * QUERIES) * sizeof(float));
    return g;
}

/* Queries [t0, t1), whose keys are beginnings of those of `common`. */
PYXGLM_TARGET_AVX2 static void attend_together(const head_view *view, sight common,
                                               const int64_t *counts, int64_t t0, int64_t t1,
                                               float *scratch)
{
    const int64_t K = view->K;
    float *keys = scratch, *scores = keys + K * KEYS_STRIDE;
    float *rest = scores + KEYS_STRIDE * QUERIES;
    group groups[GROUPS];
    const int used = (int)((t1 - t0 + QUERIES - 1) / QUERIES);
    for (int i = 0; i < used; i++, rest += (2 * K + LANES) * QUERIES) {
        const int64_t left = t1 - t0 - i * QUERIES;
        groups[i] = begin_group(view, t0 + i * QUERIES, left < QUERIES ? (int)left : QUERIES,
                                counts + i * QUERIES, rest);
    }
    int64_t place[BLOCK], s = 0, first = 0;
    for (int count; (count = next_keys(common, &s, place)) > 0; first += count) {
        for (int j = 0; j < KEYS_STRIDE && j < count + TILE; j += LANES)
            transpose_rows(keys + j, KEYS_STRIDE, view->k, view->k_s, place + j, count - j, K);
        for (int i = 0; i < used; i++) {
            ask_ahead(view, s, s >= common.limit, t0, t1, i * QUERIES, QUERIES);
            fold(&groups[i], scores, keys, view, place, first, count);
        }
    }
    for (int64_t t = t0; t < t1; t += LANES)
        finish(&groups[(t - t0) / QUERIES], (t - t0) / LANES % 2, view, t,
               t1 - t < LANES ? (int)(t1 - t) : LANES);
}

PYXGLM_TARGET_AVX2 void pyxglm_attention_avx2(const pyxglm_attention_args *a, int64_t begin,
                                              int64_t end, float *scratch)
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
                pyxglm_attend_one_avx2(&view, sight_of(a, task.sequence, t), t, scratch);
    }
}
