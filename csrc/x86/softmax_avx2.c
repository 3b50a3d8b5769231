/* Softmax, its logarithm, and the sum of exponentials. Reference: ops/reference.py.
 *
 * Three walks over a row: maximum; exponentials and their sum; division, as
 * one reciprocal and products. exp takes 19 instructions for 8 numbers, more
 * than the loads; two chains of sums hide the latency of the additions.
 *
 * NaN comes through without care for it: it may or may not be taken for the
 * maximum, but its exponential is NaN, and then so is the sum. */
#include "math_avx2.h"
#include "x86.h"

#include <math.h>

#define STRETCH 2048 /* numbers that are added up in one go */

INLINE256 float row_max(const float *x, int64_t width)
{
    const __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 first = lowest, second = lowest;
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
        first = _mm256_max_ps(first, _mm256_loadu_ps(x + i));
        second = _mm256_max_ps(second, _mm256_loadu_ps(x + i + LANES));
    }
    for (; i < width; i += LANES)
        first = _mm256_max_ps(
            first, select_f32x8(first_lanes(width - i), load_first(x + i, width - i), lowest));
    return max_of(_mm256_max_ps(first, second));
}

/* The sum of exp(x - max) of at most STRETCH numbers, by lanes; the terms go to
 * y unless that is NULL. */
INLINE256 __m256 exp_sums(float *y, const float *x, int64_t width, __m256 max_f32x8)
{
    __m256 first = _mm256_setzero_ps(), second = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
        const __m256 p = exp_f32x8(_mm256_sub_ps(_mm256_loadu_ps(x + i), max_f32x8));
        const __m256 q = exp_f32x8(_mm256_sub_ps(_mm256_loadu_ps(x + i + LANES), max_f32x8));
        first = _mm256_add_ps(first, p);
        second = _mm256_add_ps(second, q);
        if (y) {
            _mm256_storeu_ps(y + i, p);
            _mm256_storeu_ps(y + i + LANES, q);
        }
    }
    for (; i < width; i += LANES) {
        const __m256 mask = _mm256_castsi256_ps(first_lanes(width - i));
        const __m256 p = exp_f32x8(_mm256_sub_ps(load_first(x + i, width - i), max_f32x8));
        first = _mm256_add_ps(first, _mm256_and_ps(p, mask));
        if (y)
            store_first(y + i, width - i, p);
    }
    return _mm256_add_ps(first, second);
}

/* The sum over a whole row. In two levels, since a lane that added up a quarter
 * of a million terms would lose its last digits one by one. */
INLINE256 float row_exp_sum(float *y, const float *x, int64_t width, float max)
{
    __m256 total = _mm256_setzero_ps();
    for (int64_t i = 0; i < width; i += STRETCH) {
        const int64_t part = width - i < STRETCH ? width - i : STRETCH;
        total = _mm256_add_ps(total,
                              exp_sums(y ? y + i : NULL, x + i, part, _mm256_set1_ps(max)));
    }
    return sum_of(total);
}

PYXGLM_TARGET_AVX2 void pyxglm_softmax_avx2(const pyxglm_map_args *a, int64_t begin,
                                                int64_t end)
{
    const int64_t width = a->width;
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float sum = row_exp_sum(y, x, width, row_max(x, width));
        const __m256 factor = _mm256_set1_ps(1.0f / sum);
        for (int64_t i = 0; i < width; i += LANES) {
            const __m256 p = load_first(y + i, width - i);
            store_first(y + i, width - i, _mm256_mul_ps(p, factor));
        }
    }
}

PYXGLM_TARGET_AVX2 void pyxglm_log_softmax_avx2(const pyxglm_map_args *a, int64_t begin,
                                                    int64_t end)
{
    const int64_t width = a->width;
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float max = row_max(x, width);
        const __m256 max_f32x8 = _mm256_set1_ps(max);
        const __m256 log_sum = _mm256_set1_ps(logf(row_exp_sum(NULL, x, width, max)));
        for (int64_t i = 0; i < width; i += LANES) {
            const __m256 shifted = _mm256_sub_ps(load_first(x + i, width - i), max_f32x8);
            store_first(y + i, width - i, _mm256_sub_ps(shifted, log_sum));
        }
    }
}

PYXGLM_TARGET_AVX2 void pyxglm_exp_sum_avx2(const float *x, int64_t width, float *max,
                                                float *sum)
{
    *max = row_max(x, width);
    *sum = row_exp_sum(NULL, x, width, *max);
}
