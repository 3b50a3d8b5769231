/* best.h - lists of the best logits, for head.c and shortlist.c.
 *
 * "Better" orders logits totally: NaN before all numbers, then the larger, and
 * of equals the lower id. So the best is what NumPy's argmax finds, and a list
 * of the best of all is made of lists of parts, in any order.
 *
 * A list is a heap while it is made: the worst of it is at the root, so that
 * what is no better is refused by one comparison, and what is better costs the
 * logarithm of the list's length. */
#ifndef PYXGLM_BEST_H
#define PYXGLM_BEST_H

#include "internal.h"

#include <stdatomic.h>

#define BLOCK 512 /* logits of a block of the vocabulary */

typedef struct best {
    float *values; /* room for `top` */
    int64_t *ids;
    int64_t top, length; /* how many there may be, and are */
} best;

PYXGLM_INLINE int64_t blocks_of(const pyxglm_head_args *a)
{
    return (a->V + BLOCK - 1) / BLOCK;
}

PYXGLM_INLINE int is_better(float value, int64_t id, float other, int64_t other_id)
{
    if (value != value || other != other)
        return value != value && (other == other || id < other_id);
    return value > other || (value == other && id < other_id);
}

PYXGLM_INLINE void put(best *list, int64_t at, float value, int64_t id)
{
    list->values[at] = value;
    list->ids[at] = id;
}

/* Puts a logit where the root of a heap of `length` was, and lets it sink to its place. */
PYXGLM_INLINE void sink(best *list, int64_t length, float value, int64_t id)
{
    const float *values = list->values;
    const int64_t *ids = list->ids;
    int64_t at = 0;
    for (int64_t child = 1; child < length; child = 2 * at + 1) {
        if (child + 1 < length &&
            is_better(values[child], ids[child], values[child + 1], ids[child + 1]))
            child++;
        if (!is_better(value, id, values[child], ids[child]))
            break;
        put(list, at, values[child], ids[child]);
        at = child;
    }
    put(list, at, value, id);
}

/* Takes a logit into a list, if it is good enough. */
PYXGLM_INLINE void offer(best *list, float value, int64_t id)
{
    const float *values = list->values;
    const int64_t *ids = list->ids;
    if (list->length == list->top) {
        if (list->top && is_better(value, id, values[0], ids[0]))
            sink(list, list->length, value, id);
        return;
    }
    int64_t at = list->length++;
    while (at > 0 && is_better(values[(at - 1) / 2], ids[(at - 1) / 2], value, id)) {
        put(list, at, values[(at - 1) / 2], ids[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(list, at, value, id);
}

/* Offers `width` logits to an empty list; the first has id `first`. `floor` is a number
 * that `wanted` logits of other blocks are known to reach: less is not worth a place. It
 * rises to what a list of so many has; one that has no room for them tells nothing. */
PYXGLM_INLINE void offer_block(best *list, int64_t wanted, const float *logits, int64_t width,
                               int64_t first, _Atomic float *floor)
{
    const float least = atomic_load_explicit(floor, memory_order_relaxed);
    int64_t i = 0;
    /* Nearly every logit fails one comparison, which is false for NaN. */
    for (; i < width && list->length < list->top; i++)
        if (!(logits[i] < least))
            offer(list, logits[i], first + i);
    for (; i < width; i++) /* later ids: an equal logit is no better */
        if (!(logits[i] <= list->values[0]))
            offer(list, logits[i], first + i);
    if (list->length < wanted)
        return;
    float known = least;
    while (list->values[0] > known &&
           !atomic_compare_exchange_weak_explicit(floor, &known, list->values[0],
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* Memory for `count` lists of `top` logits each; and what follows them in memory that
 * begins with the lists. */
PYXGLM_INLINE size_t list_bytes(int64_t count, int64_t top)
{
    return (size_t)count * sizeof(best) +
           (size_t)(count * top) * (sizeof(int64_t) + sizeof(float));
}

PYXGLM_INLINE float *lists_in(best *lists, int64_t count, int64_t top)
{
    int64_t *ids = (int64_t *)(lists + count);
    float *values = (float *)(ids + count * top);
    for (int64_t i = 0; i < count; i++)
        lists[i] = (best){values + i * top, ids + i * top, top, 0};
    return values + count * top;
}

/* Puts a list in order, best first. It is no heap any more. */
PYXGLM_INLINE void in_order(best *list)
{
    for (int64_t last = list->length - 1; last > 0; last--) {
        const float value = list->values[last];
        const int64_t id = list->ids[last];
        put(list, last, list->values[0], list->ids[0]);
        sink(list, last, value, id);
    }
}

/* The best of row m, in order, from its lists of all blocks, which are `stride` apart. */
PYXGLM_INLINE void merge(const pyxglm_head_args *a, int64_t m, const best *lists, int64_t stride)
{
    best all = {a->values + m * a->top, a->ids + m * a->top, a->top, 0};
    for (int64_t block = 0; block < blocks_of(a); block++) {
        const best *list = lists + block * stride;
        for (int64_t i = 0; i < list->length; i++)
            offer(&all, list->values[i], list->ids[i]);
    }
    in_order(&all);
}

#endif
