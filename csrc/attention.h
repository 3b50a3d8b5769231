/* attention.h - which keys a block of queries sees, and what is asked for ahead;
 * shared by the instruction sets.
 *
 * Hidden keys are not counted anywhere: a query's keys are numbered 0, 1, 2 ...
 * in order of place, and blocks of PYXGLM_KEY_BLOCK are cut from that list. So
 * padding moves nothing.
 *
 * Under the usual rules (causal, padding) the lists of the queries of a task
 * are the beginnings of one list: the longest. Then one pass over that list
 * serves them all, and each query stops at its own length. A mask of the
 * caller's may be any shape; whether its rows are beginnings of each other is
 * looked up, and if not, queries are computed one by one. */
#ifndef PYXGLM_ATTENTION_H
#define PYXGLM_ATTENTION_H

#include "internal.h"

/* How a lone query reads (attention_one_*.c of x86). */
#define RUN 16    /* blocks of keys that are read before their values: 256 KB each at K = 64 */
#define PANEL 256 /* columns of keys that are copied at a time */

/* One head of one sequence. Rows of q, out: `t`; of k, v: `s`. */
typedef struct head_view {
    const float *q, *k, *v;
    float *out, *weights; /* weights: (T, S), or NULL */
    int64_t q_t, k_s, v_s, out_t, T, S, K, k_h, v_h; /* *_h: to the next head */
    float factor; /* of the head mask */
    int masked;   /* scores are bounded below by the lowest finite float */
} head_view;

/* The keys a query sees: those s < limit with row[s] != 0 (row NULL: all). */
typedef struct sight {
    const uint8_t *row;
    int64_t limit;
} sight;

PYXGLM_INLINE head_view view_of(const pyxglm_attention_args *a, const pyxglm_attention_task *task)
{
    const pyxglm_sequence *sequence = task->sequence;
    const int64_t h = task->h, S = sequence->S;
    return (head_view){
        .q = a->q + sequence->q + h * a->q_h,
        .k = a->k + sequence->k + h * a->k_h,
        .v = a->v + sequence->v + h * a->v_h,
        .out = a->out + sequence->out + h * a->out_h,
        .weights = a->weights ? a->weights + sequence->weights + h * sequence->T * S : NULL,
        .q_t = a->q_t,
        .k_s = a->k_s,
        .v_s = a->v_s,
        .out_t = a->out_t,
        .T = sequence->T,
        .S = S,
        .K = a->K,
        .k_h = a->k_h,
        .v_h = a->v_h,
        .factor = a->head_mask ? a->head_mask[h] : 1.0f,
        .masked = pyxglm_is_masked(a, sequence),
    };
}

PYXGLM_INLINE sight sight_of(const pyxglm_attention_args *a, const pyxglm_sequence *sequence,
                             int64_t t)
{
    if (a->visible) {
        sight own = {a->visible + sequence->visible + t * sequence->S, sequence->S};
        while (own.limit > 0 && !own.row[own.limit - 1])
            own.limit--;
        return own;
    }
    int64_t limit = a->causal ? sequence->S - sequence->T + t + 1 : sequence->S;
    limit = limit < 0 ? 0 : limit > sequence->S ? sequence->S : limit;
    return (sight){a->keys ? a->keys + sequence->keys : NULL, limit};
}

/* How many keys are seen from place `from` on. */
PYXGLM_INLINE int64_t count_keys(sight own, int64_t from)
{
    if (from >= own.limit)
        return 0;
    if (!own.row)
        return own.limit - from;
    int64_t count = 0;
    for (int64_t s = from; s < own.limit; s++)
        count += own.row[s] != 0;
    return count;
}

/* Whether all of a block of places from `at` on are seen, by ones in the mask. That is
 * the usual case; asking byte by byte costs decoding a twentieth. */
PYXGLM_INLINE int all_seen(sight own, int64_t at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t others = 0, eight;
    if (at + PYXGLM_KEY_BLOCK > own.limit)
        return 0;
    for (int i = 0; own.row && i < PYXGLM_KEY_BLOCK; i += 8) {
        memcpy(&eight, own.row + at + i, sizeof eight);
        others |= eight ^ ones;
    }
    return !others;
}

/* The places of the next PYXGLM_KEY_BLOCK keys, from place *s on, which moves
 * behind them. Returns how many there are. */
PYXGLM_INLINE int next_keys(sight own, int64_t *s, int64_t place[PYXGLM_KEY_BLOCK])
{
    int count = 0;
    int64_t at = *s;
    if (all_seen(own, at)) {
        for (; count < PYXGLM_KEY_BLOCK; count++)
            place[count] = at++;
        *s = at;
        return count;
    }
    for (; at < own.limit && count < PYXGLM_KEY_BLOCK; at++) {
        place[count] = at;
        count += !own.row || own.row[at] != 0;
    }
    *s = at;
    return count;
}

/* Asks for rows that are needed soon, at most as many as a block has. */
PYXGLM_INLINE void ask_for(const float *from, int64_t stride, int64_t rows, int64_t K)
{
    const int64_t line = 64 / (int64_t)sizeof *from;
    for (int64_t s = 0; s < min_i64(rows, PYXGLM_KEY_BLOCK); s++)
        for (int64_t k = 0; k < K; k += line)
            PYXGLM_PREFETCH_L2(from + s * stride + k);
}

/* While some queries of a task, `rows` of them from number `at` on, see a block of
 * keys: asks for as many rows of what comes after it. That is the block which
 * begins at place s (the next task's, if this one sees no more; the next head's,
 * if there is none) and, with the last block, room for these queries' outputs
 * and the queries of this head that come next. */
PYXGLM_INLINE void ask_ahead(const head_view *view, int64_t s, int last, int64_t t0, int64_t t1,
                             int64_t at, int64_t rows)
{
    const int64_t next = s < view->S ? s + at : at, keys = min_i64(rows, view->S - next);
    if (keys > 0) {
        const float *k = view->k + (s < view->S ? 0 : view->k_h);
        const float *v = view->v + (s < view->S ? 0 : view->v_h);
        ask_for(k + next * view->k_s, view->k_s, keys, view->K);
        ask_for(v + next * view->v_s, view->v_s, keys, view->K);
    }
    if (last) {
        const int64_t queries = min_i64(rows, view->T - t1 - at);
        ask_for(view->out + (t0 + at) * view->out_t, view->out_t, min_i64(rows, t1 - t0 - at),
                view->K);
        if (queries > 0)
            ask_for(view->q + (t1 + at) * view->q_t, view->q_t, queries, view->K);
    }
}

/* For queries [t0, t1): fills in how many keys each sees, and the sight that
 * all of theirs are beginnings of. Returns 0 if there is no such sight. */
PYXGLM_INLINE int common_sight(const pyxglm_attention_args *a, const pyxglm_sequence *sequence,
                               int64_t t0, int64_t t1, sight *common, int64_t *counts)
{
    *common = sight_of(a, sequence, t0);
    sight last = *common;
    int64_t count = 0, from = 0;
    for (int64_t t = t0; t < t1; t++) {
        const sight own = sight_of(a, sequence, t);
        if (a->visible) {
            const sight longer = own.limit > common->limit ? own : *common;
            const int64_t shorter = own.limit > common->limit ? common->limit : own.limit;
            if (memcmp(own.row, common->row, (size_t)shorter))
                return 0;
            *common = longer;
            counts[t - t0] = count_keys(own, 0);
            continue;
        }
        count += count_keys(own, from); /* limits only grow with t */
        from = own.limit;
        counts[t - t0] = count;
        last = own;
    }
    if (!a->visible)
        *common = last;
    return 1;
}

#endif
