/* What the two files of attention for AVX2 share. */
#ifndef PYXGLM_ATTENTION_AVX2_H
#define PYXGLM_ATTENTION_AVX2_H

#include "../attention.h"
#include "math_avx2.h"

#include <float.h>
#include <math.h>

/* Query t alone, whose keys are those of `own`. `values`: scratch, K floats.
 * Gives the same bits as the tile of queries does. */
void pyxglm_attend_one_avx2(const head_view *view, sight own, int64_t t, float *values);

/* The answer of a query that sees nothing, or only scores of minus infinity:
 * the mean of all S values. */
void pyxglm_attend_evenly_avx2(const head_view *view, int64_t t);

/* Rows become columns: 3 levels of 8 shuffles, on pairs, quads and halves. */
INLINE256 void transpose_8x8(__m256 row[8])
{
    __m256 a[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        row[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        row[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        row[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        row[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[i] = _mm256_permute2f128_ps(row[i], row[4 + i], 0x20);
        a[4 + i] = _mm256_permute2f128_ps(row[i], row[4 + i], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        row[i] = a[i];
}

/* to[k][r] = from[place[r]][k], for `rows` <= 8 rows; other lanes are 0. Without
 * places, row r itself. */
INLINE256 void transpose_rows(float *to, int64_t to_stride, const float *from,
                              int64_t from_stride, const int64_t *place, int rows, int64_t K)
{
    for (int64_t k = 0; k < K; k += LANES) {
        __m256 tile[8];
#pragma GCC unroll 8
        for (int r = 0; r < 8; r++)
            tile[r] = r < rows ? load_first(from + (place ? place[r] : r) * from_stride + k, K - k)
                               : _mm256_setzero_ps();
        transpose_8x8(tile);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            if (i < K - k)
                _mm256_storeu_ps(to + (k + i) * to_stride, tile[i]);
    }
}

#endif
