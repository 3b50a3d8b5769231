/* best.h - lists of the best logits, for head.c and shortlist.c.
 *
 * "Better" orders logits totally: NaN before all numbers, then the larger, and
 * of equals the lower id. So the best is what NumPy's argmax finds. */
#ifndef PYXGLM_BEST_H
#define PYXGLM_BEST_H

#include "internal.h"

#define BLOCK 512 /* logits of a block of the vocabulary */

PYXGLM_INLINE int64_t blocks_of(const pyxglm_head_args *a)
{
    return (a->V + BLOCK - 1) / BLOCK;
}

/* Puts a logit into a list of at most `top`, best first, of which `*length` are
 * there. Ids must come in ascending order: an equal logit goes behind. */
PYXGLM_INLINE void offer(float *values, int64_t *ids, int64_t *length, int64_t top,
                         float value, int64_t id)
{
    const int is_nan = value != value;
    int64_t at = *length;
    while (at > 0 && values[at - 1] == values[at - 1] && (is_nan || value > values[at - 1]))
        at--;
    if (at >= top)
        return;
    *length = min_i64(*length + 1, top);
    for (int64_t i = *length - 1; i > at; i--) {
        values[i] = values[i - 1];
        ids[i] = ids[i - 1];
    }
    values[at] = value;
    ids[at] = id;
}

/* The best of `width` logits, the first of which has id `first`. */
PYXGLM_INLINE void best_of(float *values, int64_t *ids, int64_t top, const float *logits,
                           int64_t width, int64_t first)
{
    int64_t length = 0, i = 0;
    for (; i < width && length < top; i++)
        offer(values, ids, &length, top, logits[i], first + i);
    /* Nearly every logit fails this one comparison, which is false for NaN. */
    for (; i < width; i++)
        if (!(logits[i] <= values[top - 1]))
            offer(values, ids, &length, top, logits[i], first + i);
}

#endif
