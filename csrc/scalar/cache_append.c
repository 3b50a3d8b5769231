/* Storing keys and values. Reference: pyxglm/ops/reference.py, cache_append.
 *
 * There is nothing for an instruction set of its own to add. But a single token's
 * rows go to as many places as there are heads, none of which is in a cache, and
 * CPUs store in order, one miss after the other: so lines are asked for before. */
#include "scalar.h"

#define LINE 16  /* floats */
#define AHEAD 8  /* heads */

/* In pieces of one size, which compilers copy in registers: a call of memcpy
 * takes longer than the copy of a row. */
static void copy_row(float *to, const float *from, int64_t K)
{
    int64_t k = 0;
    for (; k + LINE <= K; k += LINE)
        memcpy(to + k, from + k, LINE * sizeof *to);
    for (; k < K; k++)
        to[k] = from[k];
}

/* Where the new tokens of head `head` of all sequences go, in floats. */
static int64_t place_of(const pyxglm_cache_append_args *a, int64_t head)
{
    return (head * a->S + a->start) * a->K;
}

static void ask_for(const pyxglm_cache_append_args *a, int64_t head)
{
    for (int64_t k = 0; k < a->K; k += LINE) {
        PYXGLM_PREFETCH_TO_WRITE(a->k_room + place_of(a, head) + k);
        PYXGLM_PREFETCH_TO_WRITE(a->v_room + place_of(a, head) + k);
    }
}

void pyxglm_cache_append_scalar(const pyxglm_cache_append_args *a, int64_t begin, int64_t end)
{
    if (begin >= end)
        return;
    const int64_t T = a->T, K = a->K, first = begin / T, last = (end - 1) / T;
    for (int64_t head = first; head < min_i64(first + AHEAD, last + 1); head++)
        ask_for(a, head);
    for (int64_t head = first; head <= last; head++) {
        const int64_t b = head / a->H, h = head % a->H, at = place_of(a, head);
        const float *k = a->k + b * a->k_b + h * a->k_h, *v = a->v + b * a->v_b + h * a->v_h;
        if (head + AHEAD <= last)
            ask_for(a, head + AHEAD);
        for (int64_t t = max_i64(begin - head * T, 0); t < min_i64(end - head * T, T); t++) {
            copy_row(a->k_room + at + t * K, k + t * a->k_t, K);
            copy_row(a->v_room + at + t * K, v + t * a->v_t, K);
        }
    }
}
