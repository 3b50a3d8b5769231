/* y = activation(bf16(x) bf16(w)^T + bias) + residual. Reference:
 * pyxglm/ops/coarse.py, linear. AVX-512 with BF16: VDPBF16PS.
 *
 * That instruction multiplies pairs: lane i of the accumulator gets
 *
 *     acc[i] += x[2i] w[2i] + x[2i + 1] w[2i + 1]
 *
 * of bfloat16 numbers: two products in the time of one FMA. It rounds to nearest
 * even whatever MXCSR says, and counts subnormal numbers as 0; so does the
 * instruction that rounds two vectors of floats into one of pairs. The order of
 * an output's sum is that of linear_avx512.c, with lanes of pairs: 16 of them
 * along K, and one tree over the lanes. Tiles too are those of that file, 6 rows
 * of x by 4 rows of w: VDPBF16PS takes 6 cycles on Zen 4, one begins in each,
 * and 24 chains cover that.
 *
 * x is made into pairs once for a block of rows. Weights stored as bfloat16 are
 * pairs as they lie. Others are converted in registers as they come from
 * memory, for few rows; for many, four rows of them into a panel that stays in
 * L1 while the block of x passes it: converting takes four instructions a
 * vector, too many to repeat for every six rows of x. */
#include "finish_avx512.h"
#include "x86.h"

#define PAIRS 32           /* numbers of a vector */
#define COLUMNS 4          /* weight rows of a tile */
#define ROWS 6             /* most rows of x in a tile */
#define STRIP 64           /* outputs that are finished together */
#define BLOCK_ROWS 192     /* most rows of x that pass a tile's weights together */
#define BLOCK_BYTES 458752 /* and what they may take of L2 */
#define AHEAD_BYTES 16384  /* least distance of the prefetch */
#define PANEL_ROWS 12      /* from so many rows of x on, weights pass by way of a panel */
#define TARGET PYXGLM_TARGET_AVX512_BF16
#define INLINE_PAIRS TARGET PYXGLM_INLINE

/* Where numbers that are multiplied come from: a dtype of the library, rounded
 * on the way unless it is bfloat16. */
typedef struct rows_of {
    const char *at;
    int64_t stride; /* in bytes */
} rows_of;

/* === Tiles =============================================================== */

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

/* sums[m][c] = x[m] . w[c] for M rows of x and C rows of w. Rows are cut into
 * the fewest tiles, of nearly equal height; the first asks for weights ahead. */
INLINE_PAIRS void multiply(float *sums, rows_of x, int64_t M, rows_of w, int64_t K,
                           const char *ahead, int x_dtype, int dtype, int C)
{
    for (int64_t m = 0, rows; m < M; m += rows, ahead = NULL) {
        const int64_t tiles = (M - m + ROWS - 1) / ROWS;
        const rows_of x_m = {x.at + m * x.stride, x.stride};
        float *out = sums + m * STRIP;
        rows = (M - m + tiles - 1) / tiles;
        switch (rows) {
        case 1: tile(out, x_m, w, K, ahead, x_dtype, dtype, 1, C); break;
        case 2: tile(out, x_m, w, K, ahead, x_dtype, dtype, 2, C); break;
        case 3: tile(out, x_m, w, K, ahead, x_dtype, dtype, 3, C); break;
        case 4: tile(out, x_m, w, K, ahead, x_dtype, dtype, 4, C); break;
        case 5: tile(out, x_m, w, K, ahead, x_dtype, dtype, 5, C); break;
        case 6: tile(out, x_m, w, K, ahead, x_dtype, dtype, 6, C); break;
        }
    }
}

/* === Loops =============================================================== */

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
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < K; k += PAIRS)
            _mm512_store_si512(
                to + r * stride + 2 * k,
                (__m512i)load_pairs(from.at + r * from.stride, k, K - k, dtype));
    return (rows_of){to, stride};
}

/* Rows [m0, m1) of y, outputs [begin, end). `panel`: room for a tile, or NULL. */
INLINE_PAIRS void block(const pyxglm_linear_args *a, rows_of x, char *panel, int64_t m0,
                        int64_t m1, int64_t begin, int64_t end, int x_dtype, int dtype)
{
    const int64_t K = a->K, stride = spread_stride(K), M = m1 - m0;
    const int64_t w_stride = K * pyxglm_itemsize(dtype);
    const int alone = M == 1 && dtype != PYXGLM_F32; /* see linear_avx512.c */
    float sums[BLOCK_ROWS * STRIP];
    for (int64_t n0 = begin; n0 < end; n0 += STRIP) {
        const int64_t n1 = n0 + STRIP < end ? n0 + STRIP : end;
        rows_of w = {(const char *)a->w + n0 * w_stride, w_stride};
        int64_t n = n0;
        for (; n + COLUMNS <= n1 && !alone; n += COLUMNS, w.at += COLUMNS * w_stride) {
            const int64_t tile_bytes = COLUMNS * w_stride;
            const char *ahead = w.at + (tile_bytes > AHEAD_BYTES ? tile_bytes : AHEAD_BYTES);
            if (panel)
                multiply(sums + n - n0, x, M, paired_rows(panel, w, COLUMNS, K, stride, dtype),
                         K, NULL, x_dtype, PYXGLM_BF16, COLUMNS);
            else
                multiply(sums + n - n0, x, M, w, K, ahead, x_dtype, dtype, COLUMNS);
        }
        for (; n < n1; n++, w.at += w_stride)
            multiply(sums + n - n0, x, M, w, K, w.at + AHEAD_BYTES, x_dtype, dtype, 1);
        finish(a, sums, STRIP, m0, m1, n0, n1);
    }
}

INLINE_PAIRS void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t K = a->K, stride = spread_stride(K);
    int64_t rows = BLOCK_BYTES / stride;
    rows = rows > BLOCK_ROWS ? BLOCK_ROWS : rows < ROWS ? ROWS : rows / ROWS * ROWS;
    rows = rows < a->M ? rows : a->M;
    /* Without memory: slower, the same bits. */
    char *memory =
        pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, (size_t)((rows + COLUMNS) * stride));
    char *panel = dtype != PYXGLM_BF16 && a->M >= PANEL_ROWS ? memory : NULL;
    for (int64_t m = 0; m < a->M; m += rows) {
        const int64_t m1 = m + rows < a->M ? m + rows : a->M;
        const rows_of x = {(const char *)(a->rounded + m * K), K * (int64_t)sizeof *a->rounded};
        if (memory)
            block(a, paired_rows(memory + COLUMNS * stride, x, m1 - m, K, stride, PYXGLM_F32),
                  panel, m, m1, begin, end, PYXGLM_BF16, dtype);
        else
            block(a, x, NULL, m, m1, begin, end, PYXGLM_F32, dtype);
    }
}

TARGET void pyxglm_linear_coarse_f32_avx512_bf16(const pyxglm_linear_args *a, int64_t begin,
                                                 int64_t end)
{
    linear(a, begin, end, PYXGLM_F32);
}

TARGET void pyxglm_linear_coarse_f16_avx512_bf16(const pyxglm_linear_args *a, int64_t begin,
                                                 int64_t end)
{
    linear(a, begin, end, PYXGLM_F16);
}

TARGET void pyxglm_linear_coarse_bf16_avx512_bf16(const pyxglm_linear_args *a, int64_t begin,
                                                  int64_t end)
{
    linear(a, begin, end, PYXGLM_BF16);
}
