/* What the two files of attention for NEON share. */
#ifndef PYXGLM_ATTENTION_NEON_H
#define PYXGLM_ATTENTION_NEON_H

#include "../attention.h"
#include "math_neon.h"

#include <float.h>
#include <math.h>

#define SUM_LANES 8 /* of a query's sum of exponentials: key j is added in lane j mod 8 */

/* Query t alone, whose keys are those of `own`. `values`: scratch, K floats.
 * Gives the same bits as the tile of queries does. */
void pyxglm_attend_one_neon(const head_view *view, sight own, int64_t t, float *values);

/* The answer of a query that sees nothing, or only scores of minus infinity:
 * the mean of all S values. */
void pyxglm_attend_evenly_neon(const head_view *view, int64_t t);

/* Rows become columns: 2 levels of 4 shuffles, on numbers and on pairs. */
PYXGLM_INLINE void transpose_4x4(float32x4_t row[4])
{
    const float64x2_t even = vreinterpretq_f64_f32(vtrn1q_f32(row[0], row[1]));
    const float64x2_t odd = vreinterpretq_f64_f32(vtrn2q_f32(row[0], row[1]));
    const float64x2_t more_even = vreinterpretq_f64_f32(vtrn1q_f32(row[2], row[3]));
    const float64x2_t more_odd = vreinterpretq_f64_f32(vtrn2q_f32(row[2], row[3]));
    row[0] = vreinterpretq_f32_f64(vtrn1q_f64(even, more_even));
    row[1] = vreinterpretq_f32_f64(vtrn1q_f64(odd, more_odd));
    row[2] = vreinterpretq_f32_f64(vtrn2q_f64(even, more_even));
    row[3] = vreinterpretq_f32_f64(vtrn2q_f64(odd, more_odd));
}

/* column[i] = row r of `from` at k + i in lane r, for `rows` <= 4 rows, which
 * stand at `place`s, or one after the other if that is NULL. What is not there,
 * rows and numbers from `left` on, is 0. */
PYXGLM_INLINE void load_columns(float32x4_t column[4], const float *from, int64_t from_stride,
                                const int64_t *place, int64_t rows, int64_t k, int64_t left)
{
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
        column[r] = r < rows ? load_first(from + (place ? place[r] : r) * from_stride + k, left)
                             : vdupq_n_f32(0.0f);
    transpose_4x4(column);
}

/* to[k][r] = from[place[r]][k], for `rows` <= 4 rows; other lanes are 0. */
PYXGLM_INLINE void transpose_rows(float *to, int64_t to_stride, const float *from,
                                  int64_t from_stride, const int64_t *place, int64_t rows,
                                  int64_t K)
{
    for (int64_t k = 0; k < K; k += LANES) {
        float32x4_t column[4];
        load_columns(column, from, from_stride, place, rows, k, K - k);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            if (i < K - k)
                vst1q_f32(to + (k + i) * to_stride, column[i]);
    }
}

/* sum[i] += a * b[i] for the 4 lanes of b. */
PYXGLM_INLINE void add_products(float32x4_t sum[4], float32x4_t a, float32x4_t b)
{
    sum[0] = vfmaq_laneq_f32(sum[0], a, b, 0);
    sum[1] = vfmaq_laneq_f32(sum[1], a, b, 1);
    sum[2] = vfmaq_laneq_f32(sum[2], a, b, 2);
    sum[3] = vfmaq_laneq_f32(sum[3], a, b, 3);
}

#endif
