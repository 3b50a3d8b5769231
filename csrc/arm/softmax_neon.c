/* Softmax, its logarithm, and the sum of exponentials. Reference: ops/reference.py.
 *
 * Three walks over a row: maximum; exponentials and their sum; division, as
 * one reciprocal and products. Sums run in 8 lanes; two exponentials side by
 * side hide the latency of each other's chain.
 *
 * NaN comes through without care for it: whether or not it is taken for the
 * maximum, its exponential is NaN, and then so is the sum. */
#include "arm.h"
#include "math_neon.h"

#include <math.h>

#define STRETCH 2048 /* numbers that are added up in one go */

PYXGLM_INLINE float row_max(const float *x, int64_t width)
{
    const float32x4_t lowest = vdupq_n_f32(-INFINITY);
    float32x4_t first = lowest, second = lowest;
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
        first = vmaxq_f32(first, vld1q_f32(x + i));
        second = vmaxq_f32(second, vld1q_f32(x + i + LANES));
    }
    for (; i < width; i += LANES)
        first = vmaxq_f32(
            first, vbslq_f32(first_lanes(width - i), load_first(x + i, width - i), lowest));
    return vmaxvq_f32(vmaxq_f32(first, second));
}

/* The sum of exp(x - max) of at most STRETCH numbers, by lanes; the terms go to
 * y unless that is NULL. */
PYXGLM_INLINE float32x4_t exp_sums(float *y, const float *x, int64_t width, float32x4_t max_f32x4)
{
    float32x4_t first = vdupq_n_f32(0.0f), second = first;
    int64_t i = 0;
    for (; i + 2 * LANES <= width; i += 2 * LANES) {
        const float32x4_t p = exp_f32x4(vsubq_f32(vld1q_f32(x + i), max_f32x4));
        const float32x4_t q = exp_f32x4(vsubq_f32(vld1q_f32(x + i + LANES), max_f32x4));
        first = vaddq_f32(first, p);
        second = vaddq_f32(second, q);
        if (y) {
            vst1q_f32(y + i, p);
            vst1q_f32(y + i + LANES, q);
        }
    }
    for (; i < width; i += LANES) {
        const float32x4_t p = exp_f32x4(vsubq_f32(load_first(x + i, width - i), max_f32x4));
        first = vaddq_f32(first, keep_f32x4(first_lanes(width - i), p));
        if (y)
            store_first(y + i, width - i, p);
    }
    return vaddq_f32(first, second);
}

/* The sum over a whole row. In two levels, since a lane that added up a quarter
 * of a million terms would lose its last digits one by one. */
PYXGLM_INLINE float row_exp_sum(float *y, const float *x, int64_t width, float max)
{
    float32x4_t total = vdupq_n_f32(0.0f);
    for (int64_t i = 0; i < width; i += STRETCH) {
        const int64_t part = width - i < STRETCH ? width - i : STRETCH;
        total = vaddq_f32(total, exp_sums(y ? y + i : NULL, x + i, part, vdupq_n_f32(max)));
    }
    return sum_of(total);
}

void pyxglm_softmax_neon(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    const int64_t width = a->width;
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float sum = row_exp_sum(y, x, width, row_max(x, width));
        const float32x4_t factor = vdupq_n_f32(1.0f / sum);
        for (int64_t i = 0; i < width; i += LANES) {
            const float32x4_t p = load_first(y + i, width - i);
            store_first(y + i, width - i, vmulq_f32(p, factor));
        }
    }
}

void pyxglm_log_softmax_neon(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    const int64_t width = a->width;
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float max = row_max(x, width);
        const float32x4_t log_sum = vdupq_n_f32(logf(row_exp_sum(NULL, x, width, max)));
        for (int64_t i = 0; i < width; i += LANES) {
            const float32x4_t shifted = vsubq_f32(load_first(x + i, width - i), vdupq_n_f32(max));
            store_first(y + i, width - i, vsubq_f32(shifted, log_sum));
        }
    }
}

void pyxglm_exp_sum_neon(const float *x, int64_t width, float *max, float *sum)
{
    *max = row_max(x, width);
    *sum = row_exp_sum(NULL, x, width, *max);
}
