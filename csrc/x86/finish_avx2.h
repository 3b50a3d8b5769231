/* What follows the sum in `linear`: bias, activation, residual. AVX2, FMA. */
#ifndef PYXGLM_FINISH_AVX2_H
#define PYXGLM_FINISH_AVX2_H

#include "math_avx2.h"

INLINE256 void finish_as(const pyxglm_linear_args *a, const float *sums, int64_t sums_stride,
                         int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t activation)
{
    for (int64_t m = m0; m < m1; m++)
        for (int64_t n = n0; n < n1; n += LANES) {
            const int64_t at = m * a->y_stride + n, left = n1 - n;
            __m256 y = load_first(sums + (m - m0) * sums_stride + n - n0, left);
            if (a->bias)
                y = _mm256_add_ps(y, load_first(a->bias + n, left));
            y = activate_f32x8(y, activation);
            if (a->residual)
                y = _mm256_add_ps(y, load_first(a->residual + at, left));
            store_first(a->y + at, left, y);
        }
}

/* y = activation(sums + bias) + residual for rows [m0, m1), outputs [n0, n1). */
PYXGLM_TARGET_AVX2 static void finish(const pyxglm_linear_args *a, const float *sums,
                                        int64_t sums_stride, int64_t m0, int64_t m1, int64_t n0,
                                        int64_t n1)
{
    switch (a->activation) {
    case PYXGLM_GELU: finish_as(a, sums, sums_stride, m0, m1, n0, n1, PYXGLM_GELU); break;
    case PYXGLM_GELU_TANH: finish_as(a, sums, sums_stride, m0, m1, n0, n1, PYXGLM_GELU_TANH); break;
    case PYXGLM_RELU: finish_as(a, sums, sums_stride, m0, m1, n0, n1, PYXGLM_RELU); break;
    case PYXGLM_SILU: finish_as(a, sums, sums_stride, m0, m1, n0, n1, PYXGLM_SILU); break;
    default: finish_as(a, sums, sums_stride, m0, m1, n0, n1, PYXGLM_LINEAR); break;
    }
}

#endif
