/* Softmax, its logarithm, and the sum of exponentials. Reference: ops/reference.py.
 *
 * A row needs its maximum, then the exponentials and their sum, then a product with the
 * reciprocal; three rows are under way at a time, as in softmax_avx512.c.
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

/* y = y * factor, of the first n numbers, at most 8. */
INLINE256 void scale_first(float *y, int64_t n, __m256 factor)
{
    store_first(y, n, _mm256_mul_ps(load_first(y, n), factor));
}

/* The rows beside the one that has its exponentials taken. Any may be NULL. */
typedef struct others {
    const float *next; /* lanes of `largest` grow to what is larger in it */
    float *before;     /* is multiplied by `factor` */
    __m256 largest, factor;
} others;

/* The sum of exp(x - max) of at most STRETCH numbers from `at` on, by lanes; the
 * terms go to y unless that is NULL. */
INLINE256 __m256 exp_sums(float *y, const float *x, int64_t at, int64_t width, __m256 max_f32x8,
                          others *rows)
{
    const float *next = rows->next ? rows->next + at : NULL;
    float *before = rows->before ? rows->before + at : NULL;
    x += at;
    y = y ? y + at : NULL;
    __m256 first = _mm256_setzero_ps(), second = _mm256_setzero_ps(), found = rows->largest;
    int64_t i = 0;
    for (; i + 4 * LANES <= width; i += 4 * LANES) {
        __m256 p[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            p[j] = _mm256_sub_ps(_mm256_loadu_ps(x + i + j * LANES), max_f32x8);
            if (next)
                found = _mm256_max_ps(found, _mm256_loadu_ps(next + i + j * LANES));
            if (before)
                scale_first(before + i + j * LANES, LANES, rows->factor);
        }
        exp_of_each(p, 4);
        first = _mm256_add_ps(_mm256_add_ps(first, p[0]), p[2]);
        second = _mm256_add_ps(_mm256_add_ps(second, p[1]), p[3]);
        if (y)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                _mm256_storeu_ps(y + i + j * LANES, p[j]);
    }
    for (; i < width; i += LANES) {
        const __m256i mask = first_lanes(width - i);
        __m256 p = _mm256_sub_ps(load_first(x + i, width - i), max_f32x8);
        exp_of_each(&p, 1);
        first = _mm256_add_ps(first, _mm256_and_ps(p, _mm256_castsi256_ps(mask)));
        if (y)
            store_first(y + i, width - i, p);
        if (next)
            found = _mm256_max_ps(found,
                                  select_f32x8(mask, load_first(next + i, width - i), found));
        if (before)
            scale_first(before + i, width - i, rows->factor);
    }
    rows->largest = found;
    return _mm256_add_ps(first, second);
}

/* The sum over a whole row. In two levels, since a lane that added up a quarter
 * of a million terms would lose its last digits one by one. */
INLINE256 float row_exp_sum(float *y, const float *x, int64_t width, float max, others *rows)
{
    const __m256 max_f32x8 = _mm256_set1_ps(max);
    __m256 total = _mm256_setzero_ps();
    rows->largest = _mm256_set1_ps(-INFINITY);
    for (int64_t i = 0; i < width; i += STRETCH) {
        const int64_t part = width - i < STRETCH ? width - i : STRETCH;
        total = _mm256_add_ps(total, exp_sums(y, x, i, part, max_f32x8, rows));
    }
    return sum_of(total);
}

PYXGLM_TARGET_AVX2 void pyxglm_softmax_avx2(const pyxglm_map_args *a, int64_t begin,
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
        rows.factor = _mm256_set1_ps(1.0f / row_exp_sum(y, x, width, max, &rows));
        rows.before = y;
        max = max_of(rows.largest);
    }
    for (int64_t i = 0; i < width; i += LANES)
        scale_first(rows.before + i, width - i, rows.factor);
}

PYXGLM_TARGET_AVX2 void pyxglm_log_softmax_avx2(const pyxglm_map_args *a, int64_t begin,
                                                    int64_t end)
{
    const int64_t width = a->width;
    if (begin >= end || width == 0)
        return;
    float max = row_max(a->x + begin * width, width);
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const __m256 max_f32x8 = _mm256_set1_ps(max);
        others rows = {.next = r + 1 < end ? x + width : NULL};
        const __m256 log_sum = _mm256_set1_ps(logf(row_exp_sum(NULL, x, width, max, &rows)));
        for (int64_t i = 0; i < width; i += LANES) {
            const __m256 shifted = _mm256_sub_ps(load_first(x + i, width - i), max_f32x8);
            store_first(y + i, width - i, _mm256_sub_ps(shifted, log_sum));
        }
        max = max_of(rows.largest);
    }
}

PYXGLM_TARGET_AVX2 void pyxglm_exp_sum_avx2(const float *x, int64_t width, float *max,
                                                float *sum)
{
    *max = row_max(x, width);
    others none = {.next = NULL};
    *sum = row_exp_sum(NULL, x, width, *max, &none);
}
