/* grain.h - how much work a thread takes at a time.
 *
 * The grain, the smallest piece, is a compromise. Waking a thread costs
 * microseconds, so a piece should be tens of microseconds of work; and there
 * should be several pieces a thread, so that one that the operating system
 * delays does not keep the others waiting. */
#ifndef PYXGLM_GRAIN_H
#define PYXGLM_GRAIN_H

#include "internal.h"

#define PIECES_PER_THREAD 8
#define MIN_ELEMENTS 16384 /* of a map or a norm */
#define MIN_PRODUCTS 65536 /* multiplications of `linear` or attention */

PYXGLM_INLINE int64_t ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

/* Items a piece, where one item costs `cost` and a piece should cost `least`. */
PYXGLM_INLINE int64_t grain_of(int64_t count, int64_t cost, int64_t least)
{
    const int64_t even = ceil_div(count, (int64_t)pyxglm_get_num_threads() * PIECES_PER_THREAD);
    return max_i64(1, max_i64(even, ceil_div(least, max_i64(1, cost))));
}

#endif
