/* Softmax, its logarithm, and the sum of exponentials. Reference: ops/reference.py.
 *
 * A row needs its maximum, then the exponentials and their sum, then a product
 * with the reciprocal. The maximum is found while the row before it is worked
 * on: exp takes 16 instructions for 16 numbers and leaves the loads idle, so
 * the first reading of a row, from memory, is hidden behind them.
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

/* The sum of exp(x - max) of at most STRETCH numbers, by lanes; the terms go to
 * y unless that is NULL. Lanes of *largest grow to what is larger in `next`,
 * another row, unless that is NULL. */
INLINE512 __m512 exp_sums(float *y, const float *x, int64_t width, __m512 max_f32x16,
                          const float *next, __m512 *largest)
{
    __m512 first = _mm512_setzero_ps(), second = _mm512_setzero_ps(), found = *largest;
    int64_t i = 0;
    for (; i + 4 * LANES <= width; i += 4 * LANES) {
        __m512 p[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            p[j] = _mm512_sub_ps(_mm512_loadu_ps(x + i + j * LANES), max_f32x16);
            if (next)
                found = _mm512_max_ps(found, _mm512_loadu_ps(next + i + j * LANES));
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
    }
    *largest = found;
    return _mm512_add_ps(first, second);
}

/* The sum over a whole row. In two levels, since a lane that added up a quarter
 * of a million terms would lose its last digits one by one. The maximum of the
 * row comes in *max, and that of the next row goes there, if there is one. */
INLINE512 float row_exp_sum(float *y, const float *x, int64_t width, float *max,
                            const float *next)
{
    const __m512 max_f32x16 = _mm512_set1_ps(*max);
    __m512 total = _mm512_setzero_ps(), largest = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < width; i += STRETCH) {
        const int64_t part = width - i < STRETCH ? width - i : STRETCH;
        total = _mm512_add_ps(total, exp_sums(y ? y + i : NULL, x + i, part, max_f32x16,
                                              next ? next + i : NULL, &largest));
    }
    if (next)
        *max = max_of(largest);
    return sum_of(total);
}

PYXGLM_TARGET_AVX512 void pyxglm_softmax_avx512(const pyxglm_map_args *a, int64_t begin,
                                                int64_t end)
{
    const int64_t width = a->width;
    if (begin >= end || width == 0)
        return;
    float max = row_max(a->x + begin * width, width);
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * width, *next = r + 1 < end ? x + width : x;
        float *y = a->y + r * width;
        const __m512 factor = _mm512_set1_ps(1.0f / row_exp_sum(y, x, width, &max, next));
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES)
            _mm512_storeu_ps(y + i, _mm512_mul_ps(_mm512_loadu_ps(y + i), factor));
        if (i < width) {
            const __mmask16 mask = first_lanes(width - i);
            _mm512_mask_storeu_ps(y + i, mask,
                                  _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, y + i), factor));
        }
    }
}

PYXGLM_TARGET_AVX512 void pyxglm_log_softmax_avx512(const pyxglm_map_args *a, int64_t begin,
                                                    int64_t end)
{
    const int64_t width = a->width;
    if (begin >= end || width == 0)
        return;
    float max = row_max(a->x + begin * width, width);
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * width, *next = r + 1 < end ? x + width : x;
        float *y = a->y + r * width;
        const __m512 max_f32x16 = _mm512_set1_ps(max);
        const __m512 log_sum = _mm512_set1_ps(logf(row_exp_sum(NULL, x, width, &max, next)));
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
    }
}

PYXGLM_TARGET_AVX512 void pyxglm_exp_sum_avx512(const float *x, int64_t width, float *max,
                                                float *sum)
{
    *max = row_max(x, width);
    *sum = row_exp_sum(NULL, x, width, max, NULL);
}
