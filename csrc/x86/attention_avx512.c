/* weights = softmax(mask(q k^T)) * head_mask; out = weights v.
 * Reference: pyxglm/ops/reference.py, attention.
 *
 * Online softmax (Milakov and Gimelshein 2018) over blocks of 64 visible keys.
 * Lanes are queries, 16 of them: maximum, exponential, sum and rescaling are
 * then whole vectors with nothing across lanes, and cost some 30 instructions a key
 * beside the 128 FMAs of the two products (K = 64).
 *
 * Both products are tiles of 16 accumulators, fed by one vector and 16 numbers
 * broadcast from memory a step: 17 loads for 16 FMAs, two loads and one or two
 * 512-bit FMAs a cycle. For scores they come from 16 rows of keys; a block with
 * hidden keys, or the short last one, is copied first, transposed.
 *
 * Order of the sums, which attention_one_avx512.c keeps too: a score adds its
 * products one by one; an output its keys one by one, rescaled at the start
 * of each block; the sum of exponentials in 16 lanes, key j in lane j mod 16. */
#include "attention_avx512.h"
#include "x86.h"

#define BLOCK PYXGLM_KEY_BLOCK
#define GROUPS (PYXGLM_QUERY_BLOCK / LANES)
#define FEW_QUERIES 4 /* fewer are faster one by one: a group costs the same however full */

/* 16 queries on their way. Arrays of vectors, whose lanes are the queries. */
typedef struct group {
    float *q;      /* (K) vectors */
    float *values; /* (K) */
    float *sums;   /* (16) */
    __m512 largest;
    __m512i count; /* keys that each query sees */
    int64_t fewest, most;
} group;

/* to[k] = lane r is from[r][k], for `rows` <= 16 rows; other lanes are 0. */
INLINE512 void transpose_rows(float *to, int64_t to_stride, const float *from, int64_t from_stride,
                              const int64_t *place, int rows, int64_t K)
{
    for (int64_t k = 0; k < K; k += LANES) {
        const __mmask16 mask = first_lanes(K - k);
        __m512 tile[16];
        if (rows >= 16 && K - k >= LANES)
#pragma GCC unroll 16
            for (int r = 0; r < 16; r++)
                tile[r] = _mm512_loadu_ps(from + (place ? place[r] : r) * from_stride + k);
        else
#pragma GCC unroll 16
            for (int r = 0; r < 16; r++) {
                const int64_t at = r < rows ? (place ? place[r] : r) : (place ? place[0] : 0);
                tile[r] = _mm512_maskz_loadu_ps(r < rows ? mask : 0, from + at * from_stride + k);
            }
        transpose_16x16(tile);
        if (K - k >= LANES)
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                _mm512_storeu_ps(to + (k + i) * to_stride, tile[i]);
        else
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (i < K - k)
                    _mm512_storeu_ps(to + (k + i) * to_stride, tile[i]);
    }
}

/* scores[j] = q . k[j] for the 16 queries and 16 keys j, which lie `step` floats
 * apart (rows of keys, the usual case) or, transposed, side by side. Four
 * pointers reach all 16 by the scaled index of an address; sixteen would not
 * fit into the registers. */
INLINE512 void score_tile(float *scores, const float *q, const float *keys, int64_t step,
                          int64_t k_step, int64_t K)
{
    __m512 sum[16];
#pragma GCC unroll 16
    for (int j = 0; j < 16; j++)
        sum[j] = _mm512_setzero_ps();
    const float *quarter[4] = {keys, keys + 4 * step, keys + 8 * step, keys + 12 * step};
    for (int64_t k = 0; k < K; k++) {
        const __m512 q_f32x16 = _mm512_loadu_ps(q + k * LANES);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const float *at = quarter[i] + k * k_step;
            sum[4 * i] = _mm512_fmadd_ps(q_f32x16, _mm512_set1_ps(at[0]), sum[4 * i]);
            sum[4 * i + 1] = _mm512_fmadd_ps(q_f32x16, _mm512_set1_ps(at[step]), sum[4 * i + 1]);
            sum[4 * i + 2] =
                _mm512_fmadd_ps(q_f32x16, _mm512_set1_ps(at[2 * step]), sum[4 * i + 2]);
            sum[4 * i + 3] =
                _mm512_fmadd_ps(q_f32x16, _mm512_set1_ps(at[3 * step]), sum[4 * i + 3]);
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < 16; j++)
        _mm512_storeu_ps(scores + j * LANES, sum[j]);
}

/* Lanes of the queries that see more than j keys of a block, of `seen` they see. */
INLINE512 __mmask16 sees_key(__m512i seen, int j)
{
    return _mm512_cmpgt_epi32_mask(seen, _mm512_set1_epi32(j));
}

/* values[k] = values[k] * rescale + sum over j of weights[j] * v[j][k], for
 * `width` values of k from `k` on. The first `common` keys count for all
 * queries; key j behind them for those that see more than j keys of the block. */
INLINE512 void value_tile(float *values, const float *weights, const head_view *view,
                          const int64_t *place, int common, int count, __m512 rescale,
                          __m512i seen, int64_t k, int width)
{
    __m512 sum[16];
#pragma GCC unroll 16
    for (int i = 0; i < width; i++)
        sum[i] = _mm512_mul_ps(_mm512_loadu_ps(values + (k + i) * LANES), rescale);
    int j = 0;
    for (; j < common; j++) {
        const float *v = view->v + place[j] * view->v_s + k;
        const __m512 weight = _mm512_loadu_ps(weights + j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < width; i++)
            sum[i] = _mm512_fmadd_ps(weight, _mm512_set1_ps(v[i]), sum[i]);
    }
    for (; j < count; j++) {
        const float *v = view->v + place[j] * view->v_s + k;
        const __m512 weight = _mm512_loadu_ps(weights + j * LANES);
        const __mmask16 sees = sees_key(seen, j);
#pragma GCC unroll 16
        for (int i = 0; i < width; i++)
            sum[i] = _mm512_mask3_fmadd_ps(weight, _mm512_set1_ps(v[i]), sum[i], sees);
    }
#pragma GCC unroll 16
    for (int i = 0; i < width; i++)
        _mm512_storeu_ps(values + (k + i) * LANES, sum[i]);
}

/* From scores to weights: the new maximum, the exponentials and their sums. Returns
 * what all that came before is multiplied by. `all`: every query sees every key,
 * which is so for most blocks and saves a third of the time.
 *
 * A score of minus infinity has the weight 0. Where there are no others, which the
 * reference counts as equal, nothing of this is used: see finish(). */
INLINE512 __m512 weigh(group *g, float *scores, __m512i seen, int count, int all)
{
    const __m512 before = g->largest;
    __m512 most[4] = {before, before, before, before};
    for (int j = 0; j < count; j += 4) /* scores are there up to a multiple of 16 */
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const __m512 score = _mm512_loadu_ps(scores + (j + i) * LANES);
            const __mmask16 sees = all ? 0xffff : sees_key(seen, j + i);
            most[i] = _mm512_mask_max_ps(most[i], sees, score, most[i]);
        }
    const __m512 largest =
        _mm512_max_ps(_mm512_max_ps(most[0], most[1]), _mm512_max_ps(most[2], most[3]));
    const __m512 rescale = exp_f32x16(_mm512_sub_ps(before, largest));
    const int step = all ? 4 : 1; /* of a whole block, four at a time */
    g->largest = largest;
    for (int i = 0; i < LANES; i++) {
        float *row = g->sums + i * LANES;
        __m512 sum = _mm512_mul_ps(_mm512_loadu_ps(row), rescale);
        for (int j = i; j < count; j += step * LANES) {
            __m512 weight[4];
#pragma GCC unroll 4
            for (int n = 0; n < step; n++)
                weight[n] =
                    _mm512_sub_ps(_mm512_loadu_ps(scores + (j + n * LANES) * LANES), largest);
            exp_of_each(weight, step);
#pragma GCC unroll 4
            for (int n = 0; n < step; n++) {
                const __mmask16 sees = all ? 0xffff : sees_key(seen, j);
                _mm512_storeu_ps(scores + (j + n * LANES) * LANES, weight[n]);
                sum = _mm512_mask_add_ps(sum, sees, sum, weight[n]);
            }
        }
        _mm512_storeu_ps(row, sum);
    }
    return rescale;
}

/* Folds a block of keys, the first of which is number `first`, into a group. */
PYXGLM_TARGET_AVX512 static void fold(group *g, float *scores, const float *keys, int in_place,
                                      const head_view *view, const int64_t *place, int64_t first,
                                      int count)
{
    if (g->most - first < count)
        count = (int)(g->most - first);
    if (count <= 0)
        return;
    const int common = (int)(g->fewest - first < 0       ? 0
                             : g->fewest - first < count ? g->fewest - first
                                                         : count);
    const __m512i seen = _mm512_sub_epi32(g->count, _mm512_set1_epi32((int)first));
    for (int j = 0; j < count; j += 16)
        if (in_place)
            score_tile(scores + j * LANES, g->q, view->k + place[j] * view->k_s, view->k_s, 1,
                       view->K);
        else
            score_tile(scores + j * LANES, g->q, keys + j, 1, BLOCK, view->K);
    const __m512 rescale = common == BLOCK ? weigh(g, scores, seen, BLOCK, 1)
                                           : weigh(g, scores, seen, count, 0);
    int64_t k = 0;
    for (; k + 16 <= view->K; k += 16)
        value_tile(g->values, scores, view, place, common, count, rescale, seen, k, 16);
    for (; k + 4 <= view->K; k += 4)
        value_tile(g->values, scores, view, place, common, count, rescale, seen, k, 4);
    for (; k < view->K; k++)
        value_tile(g->values, scores, view, place, common, count, rescale, seen, k, 1);
}

/* Writes the outputs of queries [t, t + queries). */
PYXGLM_TARGET_AVX512 static void finish(group *g, const head_view *view, int64_t t, int queries)
{
    __m512 total[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        total[i] = _mm512_loadu_ps(g->sums + i * LANES);
#pragma GCC unroll 4
    for (int width = 8; width > 0; width /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < width; i++)
            total[i] = _mm512_add_ps(total[i], total[i + width]);
    /* Two factors and not their product, which may be too small to be exact. */
    const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(1.0f), total[0]);
    const __m512 factor = _mm512_set1_ps(view->factor);
    for (int64_t k = 0; k < view->K; k += LANES) {
        __m512 tile[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            tile[i] = i < view->K - k
                          ? _mm512_mul_ps(_mm512_loadu_ps(g->values + (k + i) * LANES), inverse)
                          : _mm512_setzero_ps();
        transpose_16x16(tile);
#pragma GCC unroll 16
        for (int r = 0; r < 16; r++)
            if (r < queries)
                _mm512_mask_storeu_ps(view->out + (t + r) * view->out_t + k,
                                      first_lanes(view->K - k), _mm512_mul_ps(tile[r], factor));
    }
    const __mmask16 nothing =
        _mm512_cmp_ps_mask(g->largest, _mm512_set1_ps(-FLT_MAX), _CMP_LE_OQ) &
        _mm512_cmp_ps_mask(total[0], total[0], _CMP_EQ_OQ);
    for (int r = 0; r < queries; r++)
        if (view->S == 0 || (view->masked && (nothing >> r & 1)))
            pyxglm_attend_evenly_avx512(view, t + r);
}

/* Queries [t0, t1), whose keys are beginnings of those of `common`. */
PYXGLM_TARGET_AVX512 static void attend_together(const head_view *view, sight common,
                                                 const int64_t *counts, int64_t t0, int64_t t1,
                                                 float *scratch)
{
    const int64_t K = view->K;
    float *keys = scratch, *scores = keys + K * BLOCK, *rest = scores + BLOCK * LANES;
    group groups[GROUPS];
    const int used = (int)((t1 - t0 + LANES - 1) / LANES);
    for (int i = 0; i < used; i++) {
        group *g = &groups[i];
        const int64_t t = t0 + i * LANES;
        const int queries = t1 - t < LANES ? (int)(t1 - t) : LANES;
        *g = (group){.q = rest, .values = rest + K * LANES, .sums = rest + 2 * K * LANES};
        rest += (2 * K + 16) * LANES;
        g->largest = _mm512_set1_ps(-FLT_MAX);
        int32_t count[LANES];
        g->fewest = g->most = counts[i * LANES];
        for (int r = 0; r < LANES; r++) { /* empty lanes copy a query */
            const int64_t own = counts[i * LANES + (r < queries ? r : 0)];
            count[r] = (int32_t)own;
            g->fewest = own < g->fewest ? own : g->fewest;
            g->most = own > g->most ? own : g->most;
        }
        g->count = _mm512_loadu_si512(count);
        transpose_rows(g->q, LANES, view->q + t * view->q_t, view->q_t, NULL, queries, K);
        memset(g->values, 0, (size_t)((K + 16) * LANES) * sizeof(float));
    }
    int64_t place[BLOCK], s = 0, first = 0;
    for (int count; (count = next_keys(common, &s, place)) > 0; first += count) {
        /* A whole block without a hidden key in between can be read where it lies. */
        const int in_place = count == BLOCK && place[BLOCK - 1] - place[0] == BLOCK - 1;
        for (int j = 0; j < count && !in_place; j += 16)
            transpose_rows(keys + j, BLOCK, view->k, view->k_s, place + j, count - j, K);
        for (int i = 0; i < used; i++) {
            ask_ahead(view, s, s >= common.limit, t0, t1, i * LANES, LANES);
            fold(&groups[i], scores, keys, in_place, view, place, first, count);
        }
    }
    for (int i = 0; i < used; i++) {
        const int64_t t = t0 + i * LANES;
        finish(&groups[i], view, t, t1 - t < LANES ? (int)(t1 - t) : LANES);
    }
}

PYXGLM_TARGET_AVX512 void pyxglm_attention_avx512(const pyxglm_attention_args *a, int64_t begin,
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
                pyxglm_attend_one_avx512(&view, sight_of(a, task.sequence, t), t, scratch);
    }
}
