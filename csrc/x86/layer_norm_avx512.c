/* Layer norm. Reference: pyxglm/ops/reference.py, layer_norm.
 *
 * Three walks over a row that is in L1 after the first: mean, variance,
 * result. Sums run in 64 lanes (4 vectors), because one chain of additions
 * would wait 4 cycles for each vector; so the order depends on D alone.
 *
 * The mean that the first walk finds is rounded. The second also adds up the
 * differences themselves, which would be 0 for the true mean, and moves mean
 * and variance by what it finds (Chan, Golub and LeVeque 1983, "corrected
 * two-pass"): a row of 1e4 + small numbers keeps its digits. */
#include "lanes_avx512.h"
#include "x86.h"

#include <math.h>

#define CHAINS 4

INLINE512 __m512 row_part(const float *row, int64_t d, int64_t D)
{
    return D - d >= LANES ? _mm512_loadu_ps(row + d)
                          : _mm512_maskz_loadu_ps(first_lanes(D - d), row + d);
}

INLINE512 float sum_of_chains(const __m512 chain[CHAINS])
{
    return sum_of(_mm512_add_ps(_mm512_add_ps(chain[0], chain[1]),
                                _mm512_add_ps(chain[2], chain[3])));
}

/* The result from d on: of 16 numbers, or as many as there are. */
INLINE512 __m512 normal_part(const pyxglm_layer_norm_args *a, const float *x, int64_t d, int64_t D,
                             __m512 rough_f32x16, __m512 shift_f32x16, __m512 scale_f32x16)
{
    const __m512 centred =
        _mm512_sub_ps(_mm512_sub_ps(row_part(x, d, D), rough_f32x16), shift_f32x16);
    return _mm512_fmadd_ps(_mm512_mul_ps(centred, scale_f32x16), row_part(a->weight, d, D),
                           row_part(a->bias, d, D));
}

PYXGLM_TARGET_AVX512 void pyxglm_layer_norm_avx512(const pyxglm_layer_norm_args *a,
                                                   int64_t begin, int64_t end)
{
    const int64_t D = a->D;
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * D;
        float *y = a->y + r * D;

        __m512 sum[CHAINS] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                              _mm512_setzero_ps()};
        int64_t d = 0;
        for (; d + CHAINS * LANES <= D; d += CHAINS * LANES)
#pragma GCC unroll 4
            for (int i = 0; i < CHAINS; i++)
                sum[i] = _mm512_add_ps(sum[i], _mm512_loadu_ps(x + d + i * LANES));
        for (; d < D; d += LANES)
            sum[0] = _mm512_add_ps(sum[0], row_part(x, d, D));
        const float rough_mean = sum_of_chains(sum) / (float)D;
        const __m512 rough_f32x16 = _mm512_set1_ps(rough_mean);

        __m512 squares[CHAINS] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                                  _mm512_setzero_ps()};
        __m512 excess[CHAINS] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                                 _mm512_setzero_ps()};
        for (d = 0; d + CHAINS * LANES <= D; d += CHAINS * LANES)
#pragma GCC unroll 4
            for (int i = 0; i < CHAINS; i++) {
                const __m512 centred =
                    _mm512_sub_ps(_mm512_loadu_ps(x + d + i * LANES), rough_f32x16);
                squares[i] = _mm512_fmadd_ps(centred, centred, squares[i]);
                excess[i] = _mm512_add_ps(excess[i], centred);
            }
        for (; d < D; d += LANES) {
            const __m512 centred =
                _mm512_maskz_sub_ps(first_lanes(D - d), row_part(x, d, D), rough_f32x16);
            squares[0] = _mm512_fmadd_ps(centred, centred, squares[0]);
            excess[0] = _mm512_add_ps(excess[0], centred);
        }
        const float shift = sum_of_chains(excess) / (float)D;
        const float square = shift * shift; /* infinite only where squares are, too */
        const float variance =
            sum_of_chains(squares) / (float)D - (square == INFINITY ? 0.0f : square);
        const float scale = 1.0f / sqrtf(variance + PYXGLM_LAYER_NORM_EPS);

        const __m512 shift_f32x16 = _mm512_set1_ps(shift), scale_f32x16 = _mm512_set1_ps(scale);
        for (d = 0; d + LANES <= D; d += LANES) /* masked stores are slow on Zen 4 */
            _mm512_storeu_ps(y + d, normal_part(a, x, d, D, rough_f32x16, shift_f32x16,
                                                scale_f32x16));
        if (d < D)
            _mm512_mask_storeu_ps(y + d, first_lanes(D - d),
                                  normal_part(a, x, d, D, rough_f32x16, shift_f32x16,
                                              scale_f32x16));
    }
}
