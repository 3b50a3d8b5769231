/* Softmax, its logarithm, and the sum of exponentials. Reference: ops/reference.py.
 *
 * Three walks over a row: maximum; exponentials and their sum; division, as
 * one reciprocal and products. exp takes 13 instructions for 16 numbers, more
 * than the loads; two chains of sums hide the latency of the additions.
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
 * y unless that is NULL. */
INLINE512 __m512 exp_sums(float *y, const float *x, int64_t width, __m512 max_f32x16)
{
    __m512 first = _mm512_setzero_ps(), second = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
        const __m512 p = exp_f32x16(_mm512_sub_ps(_mm512_loadu_ps(x + i), max_f32x16));
        const __m512 q = exp_f32x16(_mm512_sub_ps(_mm512_loadu_ps(x + i + LANES), max_f32x16));
        first = _mm512_add_ps(first, p);
        second = _mm512_add_ps(second, q);
        if (y) {
            _mm512_storeu_ps(y + i, p);
            _mm512_storeu_ps(y + i + LANES, q);
        }
    }
    for (; i < width; i += LANES) {
        const __mmask16 mask = first_lanes(width - i);
        const __m512 p =
            exp_f32x16(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), max_f32x16));
        first = _mm512_mask_add_ps(first, mask, first, p);
        if (y)
            _mm512_mask_storeu_ps(y + i, mask, p);
    }
    return _mm512_add_ps(first, second);
}

/* The sum over a whole row. In two levels, since a lane that added up a quarter
 * of a million terms would lose its last digits one by one. */
INLINE512 float row_exp_sum(float *y, const float *x, int64_t width, float max)
{
    __m512 total = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += STRETCH) {
        const int64_t part = width - i < STRETCH ? width - i : STRETCH;
        total = _mm512_add_ps(total,
                              exp_sums(y ? y + i : NULL, x + i, part, _mm512_set1_ps(max)));
    }
    return sum_of(total);
}

PYXGLM_TARGET_AVX512 void pyxglm_softmax_avx512(const pyxglm_map_args *a, int64_t begin,
                                                int64_t end)
{
    const int64_t width = a->width;
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float sum = row_exp_sum(y, x, width, row_max(x, width));
        const __m512 factor = _mm512_set1_ps(1.0f / sum);
        for (int64_t i = 0; i < width; i += LANES) {
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
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float max = row_max(x, width);
        const __m512 max_f32x16 = _mm512_set1_ps(max);
        const __m512 log_sum = _mm512_set1_ps(logf(row_exp_sum(NULL, x, width, max)));
        for (int64_t i = 0; i < width; i += LANES) {
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
    *sum = row_exp_sum(NULL, x, width, *max);
}
