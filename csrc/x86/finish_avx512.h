/* What follows the sum in `linear`: bias, activation, residual. AVX-512 F, DQ.
 *
 * The same for the kernels on vectors and those on tiles. */
#ifndef PYXGLM_FINISH_AVX512_H
#define PYXGLM_FINISH_AVX512_H

#include "math_avx512.h"

INLINE512 void finish_as(const pyxglm_linear_args *a, const float *sums, int64_t sums_stride,
                         int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t activation)
{
    for (int64_t m = m0; m < m1; m++)
        for (int64_t n = n0; n < n1; n += LANES) {
            const __mmask16 mask = first_lanes(n1 - n);
            const int64_t at = m * a->y_stride + n;
            __m512 y = _mm512_maskz_loadu_ps(mask, sums + (m - m0) * sums_stride + n - n0);
            if (a->bias)
                y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, a->bias + n));
            y = activate_f32x16(y, activation);
            if (a->residual)
                y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, a->residual + at));
            _mm512_mask_storeu_ps(a->y + at, mask, y);
        }
}

/* y = activation(sums + bias) + residual for rows [m0, m1), outputs [n0, n1). */
PYXGLM_TARGET_AVX512 static void finish(const pyxglm_linear_args *a, const float *sums,
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
