/* Softmax, its logarithm, and the sum of exponentials. Reference: ops/reference.py.
 *
 * A row needs its maximum, then the exponentials and their sum, then a product
 * with the reciprocal. exp takes 15 instructions for 16 numbers and leaves the
 * loads and stores idle, so three rows are under way at a time: while one has
 * its exponentials taken, the maximum of the next is found, which reads it from
 * memory, and the one before is multiplied.
 *
 * NaN comes through without care for it: it may or may not be taken for the
 * maximum, but its exponential is NaN, and then so is the sum. */
#include "math_avx512.h"
#include "x86.h"

#include <math.h>

#define STRETCH 2048 /* numbers that are added up in one go */

INLINE512 float row_max(const float *x, int64_t width)
{
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    __m512 first = lowest, second = lowest;
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
        first = _mm512_max_ps(first, _mm512_loadu_ps(x + i));
        second = _mm512_max_ps(second, _mm512_loadu_ps(x + i + LANES));
    }
    for (; i < width; i += LANES)
        first = _mm512_max_ps(first,
                              _mm512_mask_loadu_ps(lowest, first_lanes(width - i), x + i));
    return max_of(_mm512_max_ps(first, second));
}

/* y = y * factor, in the lanes of `mask`. */
INLINE512 void scale(float *y, __mmask16 mask, __m512 factor)
{
    _mm512_mask_storeu_ps(y, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, y), factor));
}

/* The rows beside the one that has its exponentials taken. Any may be NULL. */
typedef struct others {
    const float *next; /* lanes of `largest` grow to what is larger in it */
    float *before;     /* is multiplied by `factor` */
    __m512 largest, factor;
} others;

/* The sum of exp(x - max) of at most STRETCH numbers from `at` on, by lanes; the
 * terms go to y unless that is NULL. */
INLINE512 __m512 exp_sums(float *y, const float *x, int64_t at, int64_t width,
                          __m512 max_f32x16, others *rows)
{
    const float *next = rows->next ? rows->next + at : NULL;
    float *before = rows->before ? rows->before + at : NULL;
    x += at;
    y = y ? y + at : NULL;
    __m512 first = _mm512_setzero_ps(), second = _mm512_setzero_ps(), found = rows->largest;
    int64_t i = 0;
    for (; i + 4 * LANES <= width; i += 4 * LANES) {
        __m512 p[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            p[j] = _mm512_sub_ps(_mm512_loadu_ps(x + i + j * LANES), max_f32x16);
            if (next)
                found = _mm512_max_ps(found, _mm512_loadu_ps(next + i + j * LANES));
            if (before)
                _mm512_storeu_ps(before + i + j * LANES,
                                 _mm512_mul_ps(_mm512_loadu_ps(before + i + j * LANES),
                                               rows->factor));
        }
        exp_of_each(p, 4);
        first = _mm512_add_ps(_mm512_add_ps(first, p[0]), p[2]);
        second = _mm512_add_ps(_mm512_add_ps(second, p[1]), p[3]);
        if (y)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                _mm512_storeu_ps(y + i + j * LANES, p[j]);
    }
    for (; i < width; i += LANES) {
        const __mmask16 mask = first_lanes(width - i);
        const __m512 p =
            exp_f32x16(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), max_f32x16));
        first = _mm512_mask_add_ps(first, mask, first, p);
        if (y)
            _mm512_mask_storeu_ps(y + i, mask, p);
        if (next)
            found = _mm512_max_ps(found, _mm512_mask_loadu_ps(found, mask, next + i));
        if (before)
            scale(before + i, mask, rows->factor);
    }
    rows->largest = found;
    return _mm512_add_ps(first, second);
}

/* The sum over a whole row. In two levels, since a lane that added up a quarter
 * of a million terms would lose its last digits one by one. */
INLINE512 float row_exp_sum(float *y, const float *x, int64_t width, float max, others *rows)
{
    const __m512 max_f32x16 = _mm512_set1_ps(max);
    __m512 total = _mm512_setzero_ps();
    rows->largest = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < width; i += STRETCH) {
        const int64_t part = width - i < STRETCH ? width - i : STRETCH;
        total = _mm512_add_ps(total, exp_sums(y, x, i, part, max_f32x16, rows));
    }
    return sum_of(total);
}

PYXGLM_TARGET_AVX512 void pyxglm_softmax_avx512(const pyxglm_map_args *a, int64_t begin,
                                                int64_t end)
{
    const int64_t width = a->width;
    if (begin >= end || width == 0)
        return;
    float max = row_max(a->x + begin * width, width);
    others rows = {.before = NULL};
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        rows.next = r + 1 < end ? x + width : NULL;
        rows.factor = _mm512_set1_ps(1.0f / row_exp_sum(y, x, width, max, &rows));
        rows.before = y;
        max = max_of(rows.largest);
    }
    for (int64_t i = 0; i < width; i += LANES)
        scale(rows.before + i, first_lanes(width - i), rows.factor);
}

PYXGLM_TARGET_AVX512 void pyxglm_log_softmax_avx512(const pyxglm_map_args *a, int64_t begin,
                                                    int64_t end)
{
    const int64_t width = a->width;
    if (begin >= end || width == 0)
        return;
    float max = row_max(a->x + begin * width, width);
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const __m512 max_f32x16 = _mm512_set1_ps(max);
        others rows = {.next = r + 1 < end ? x + width : NULL};
        const __m512 log_sum = _mm512_set1_ps(logf(row_exp_sum(NULL, x, width, max, &rows)));
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            const __m512 shifted = _mm512_sub_ps(_mm512_loadu_ps(x + i), max_f32x16);
            _mm512_storeu_ps(y + i, _mm512_sub_ps(shifted, log_sum));
        }
        if (i < width) {
            const __mmask16 mask = first_lanes(width - i);
            const __m512 shifted =
                _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), max_f32x16);
            _mm512_mask_storeu_ps(y + i, mask, _mm512_sub_ps(shifted, log_sum));
        }
        max = max_of(rows.largest);
    }
}

PYXGLM_TARGET_AVX512 void pyxglm_exp_sum_avx512(const float *x, int64_t width, float *max,
                                                float *sum)
{
    *max = row_max(x, width);
    others none = {.next = NULL};
    *sum = row_exp_sum(NULL, x, width, *max, &none);
}
