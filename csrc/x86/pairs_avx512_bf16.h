/* Numbers as pairs of bfloat16, and tiles of their products. AVX-512 with BF16.
 *
 * VDPBF16PS multiplies pairs: lane i of the accumulator gets
 *
 *     acc[i] += x[2i] w[2i] + x[2i + 1] w[2i + 1]
 *
 * of bfloat16 numbers: two products in the time of one FMA. It rounds to nearest
 * even whatever MXCSR says, and counts subnormal numbers as 0; so does the
 * instruction that rounds two vectors of floats into one of pairs. The order of
 * an output's sum is that of linear_avx512.c, with lanes of pairs: 16 of them
 * along K, and one tree over the lanes. Tiles too are those of that file, 6 rows
 * of x by 4 rows of w: VDPBF16PS takes 6 cycles on Zen 4, one begins in each,
 * and 24 chains cover that. */
#ifndef PYXGLM_PAIRS_AVX512_BF16_H
#define PYXGLM_PAIRS_AVX512_BF16_H

#include "lanes_avx512.h"

#define PAIRS 32  /* numbers of a vector */
#define COLUMNS 4 /* weight rows of a tile */
#define ROWS 6    /* most rows of x in a tile */
#define HALF 3    /* rows of x in half a tile */
#define STRIP 64  /* outputs that are finished together */
#define COPY_AHEAD_BYTES 8192 /* distance of the prefetch while rows become pairs */
#define TARGET PYXGLM_TARGET_AVX512_BF16
#define INLINE_PAIRS TARGET PYXGLM_INLINE

/* Where numbers that are multiplied come from: a dtype of the library, rounded
 * on the way unless it is bfloat16. */
typedef struct rows_of {
    const char *at;
    int64_t stride; /* in bytes */
} rows_of;

/* === Pairs =============================================================== */

/* 32 numbers from `k` on, the first n of them, as pairs. */
INLINE_PAIRS __m512bh load_pairs(const char *row, int64_t k, int64_t n, int dtype)
{
    if (dtype == PYXGLM_BF16) {
        const __mmask32 mask = n >= PAIRS ? 0xffffffffu : (1u << n) - 1;
        return (__m512bh)(n >= PAIRS ? _mm512_loadu_si512(row + 2 * k)
                                     : _mm512_maskz_loadu_epi16(mask, row + 2 * k));
    }
    if (n >= PAIRS)
        return _mm512_cvtne2ps_pbh(load_weights(row, k + LANES, dtype),
                                   load_weights(row, k, dtype));
    return _mm512_cvtne2ps_pbh(load_weights_masked(row, k + LANES, dtype, first_lanes(n - LANES)),
                               load_weights_masked(row, k, dtype, first_lanes(n)));
}

/* Bytes from row to row of pairs: whole cache lines, and an odd number of them,
 * so that rows start in different cache sets. */
PYXGLM_INLINE int64_t spread_stride(int64_t K)
{
    return ((K + PAIRS - 1) / PAIRS | 1) * 64;
}

/* Rows as pairs, 0 behind the last number of each. */
INLINE_PAIRS rows_of paired_rows(char *to, rows_of from, int64_t rows, int64_t K, int64_t stride,
                                 int dtype)
{
    const int64_t bytes = PAIRS * pyxglm_itemsize(dtype);
    for (int64_t r = 0; r < rows; r++) {
        const char *row = from.at + r * from.stride, *ahead = row + COPY_AHEAD_BYTES;
        for (int64_t k = 0; k < K; k += PAIRS, ahead += bytes) {
#pragma GCC unroll 2
            for (int64_t i = 0; i < bytes; i += 64)
                PYXGLM_PREFETCH_L2(ahead + i);
            _mm512_store_si512(to + r * stride + 2 * k,
                               (__m512i)load_pairs(row, k, K - k, dtype));
        }
    }
    return (rows_of){to, stride};
}

/* === Tiles =============================================================== */

/* One step along K, on n <= 32 numbers. */
INLINE_PAIRS void step(__m512 acc[ROWS][COLUMNS], rows_of x, rows_of w, int64_t k, int64_t n,
                       int x_dtype, int dtype, int R, int C)
{
    __m512bh w_bf16x32[COLUMNS];
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
        w_bf16x32[c] = load_pairs(w.at + c * w.stride, k, n, dtype);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
        const __m512bh x_bf16x32 = load_pairs(x.at + r * x.stride, k, n, x_dtype);
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c] = _mm512_dpbf16_ps(acc[r][c], x_bf16x32, w_bf16x32[c]);
    }
}

/* sums[r][c] = x[r] . w[c] for R x C outputs. Weights from `ahead` on, unless
 * that is NULL, are asked for: as many bytes a step as it takes. */
INLINE_PAIRS void tile(float *sums, rows_of x, rows_of w, int64_t K, const char *ahead,
                       int x_dtype, int dtype, int R, int C)
{
    const int64_t bytes = C * PAIRS * pyxglm_itemsize(dtype);
    __m512 acc[ROWS][COLUMNS];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c] = _mm512_setzero_ps();

    int64_t k = 0;
    for (; k + PAIRS <= K; k += PAIRS) {
        if (ahead) {
#pragma GCC unroll 8
            for (int64_t i = 0; i < bytes; i += 64)
                PYXGLM_PREFETCH_L2(ahead + i);
            ahead += bytes;
        }
        step(acc, x, w, k, PAIRS, x_dtype, dtype, R, C);
    }
    if (k < K)
        step(acc, x, w, k, K - k, x_dtype, dtype, R, C);

#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        if (C == COLUMNS)
            _mm_storeu_ps(sums + r * STRIP,
                          sums_of_4(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
        else
            sums[r * STRIP] = sum_of(acc[r][0]);
}

/* === Halves of tiles ===================================================== */

/* One step of half a tile. */
INLINE_PAIRS void half_step(__m512 acc[HALF][COLUMNS], rows_of x, rows_of w, int64_t at)
{
    __m512bh w_bf16x32[COLUMNS];
#pragma GCC unroll 4
    for (int c = 0; c < COLUMNS; c++) {
        w_bf16x32[c] = (__m512bh)_mm512_load_si512(w.at + c * w.stride + at);
        PYXGLM_IN_REGISTER(w_bf16x32[c]);
    }
#pragma GCC unroll 3
    for (int r = 0; r < HALF; r++) {
        __m512bh x_bf16x32 = (__m512bh)_mm512_load_si512(x.at + r * x.stride + at);
        PYXGLM_IN_REGISTER(x_bf16x32);
#pragma GCC unroll 4
        for (int c = 0; c < COLUMNS; c++)
            acc[r][c] = _mm512_dpbf16_ps(acc[r][c], x_bf16x32, w_bf16x32[c]);
    }
}

INLINE_PAIRS void clear(__m512 acc[HALF][COLUMNS])
{
#pragma GCC unroll 3
    for (int r = 0; r < HALF; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLUMNS; c++)
            acc[r][c] = _mm512_setzero_ps();
}

/* Half a tile's sums, and the beginning of the next. */
INLINE_PAIRS void take_sums(float *sums, __m512 acc[HALF][COLUMNS])
{
#pragma GCC unroll 3
    for (int r = 0; r < HALF; r++)
        _mm_storeu_ps(sums + r * STRIP,
                      sums_of_4(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
    clear(acc);
}

#endif
