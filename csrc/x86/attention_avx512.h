/* What the two files of attention for AVX-512 share. */
#ifndef PYXGLM_ATTENTION_AVX512_H
#define PYXGLM_ATTENTION_AVX512_H

#include "../attention.h"
#include "math_avx512.h"

#include <float.h>
#include <math.h>

/* Query t alone, whose keys are those of `own`. `values`: scratch, K floats in
 * whole vectors. Gives the same bits as the tile of queries does. */
void pyxglm_attend_one_avx512(const head_view *view, sight own, int64_t t, float *values);

/* The answer of a query that sees nothing, or only scores of minus infinity:
 * the mean of all S values. */
void pyxglm_attend_evenly_avx512(const head_view *view, int64_t t);

/* Rows become columns: 4 levels of 16 shuffles, on pairs, quads, and twice on
 * quarters of the register. */
INLINE512 void transpose_16x16(__m512 row[16])
{
    __m512 a[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(row[i], row[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(row[i], row[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        row[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
        row[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
        row[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        row[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    /* row[4 i + c] now holds columns c, c + 4, c + 8, c + 12 of rows 4 i to 4 i + 3. */
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        const __m512 low = _mm512_shuffle_f32x4(row[c], row[4 + c], 0x88);
        const __m512 high = _mm512_shuffle_f32x4(row[c], row[4 + c], 0xdd);
        const __m512 low2 = _mm512_shuffle_f32x4(row[8 + c], row[12 + c], 0x88);
        const __m512 high2 = _mm512_shuffle_f32x4(row[8 + c], row[12 + c], 0xdd);
        a[c] = _mm512_shuffle_f32x4(low, low2, 0x88);
        a[8 + c] = _mm512_shuffle_f32x4(low, low2, 0xdd);
        a[4 + c] = _mm512_shuffle_f32x4(high, high2, 0x88);
        a[12 + c] = _mm512_shuffle_f32x4(high, high2, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        row[i] = a[i];
}

#endif
