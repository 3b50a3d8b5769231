/* y = activation(x w^T + bias) + residual. Reference: pyxglm/ops/reference.py, linear.
 *
 * Dot form. Weights (N, K) and activations (M, K) are both contiguous along K,
 * so the accumulators run along K too: 16 lanes an output, lane i adding the
 * products at i, i + 16, i + 32 ... by fma, and one tree over the lanes at the
 * end. Nothing is transposed, and the order of an output's sum depends on K
 * alone. Everything below only chooses which outputs are computed together.
 *
 * A tile is R <= 6 rows of x by 4 rows of w: 24 accumulators, 4 weights and
 * one x fill 29 of 32 registers, and 10 loads feed 24 FMAs. Zen 4 issues one
 * 512-bit FMA and one 512-bit load a cycle, Intel two and two, so FMAs bound
 * it on both; 24 independent chains cover the latency of 4 with room.
 *
 * Weights are widened in registers, also for many rows: a tile's 4 stored rows
 * stay in L1 while a block of x streams past them from L2, 6 lines in 24
 * cycles. Widening a panel of weights to a buffer first was slower at every M
 * here (fp16 at M = 16: 63 % of the FMA peak, against 87 %), as it doubles
 * the bytes and stops the arithmetic while it runs.
 *
 * For one row, memory is the limit. A row of 16-bit weights at a time, read
 * from first to last, comes at 94 % of the speed of a plain read loop, tiles of
 * 4 rows at 80 % (one chain of FMAs takes 8 bytes a cycle, more than comes; of
 * 8 bits it takes 4, too few). Of 32-bit weights 4 rows at a time are faster. The
 * prefetch runs 16 KiB ahead: a row of 2 KiB ends before the hardware has
 * understood it. */
#include "finish_avx512.h"

#define COLUMNS 4           /* weight rows of a tile */
#define ROWS 6              /* most rows of x in a tile */
#define STRIP 64            /* outputs that are finished together */
#define BLOCK_ROWS 96       /* most rows of x that pass a tile's weights together */
#define BLOCK_BYTES 458752  /* and what they may take of L2 */
#define AHEAD_BYTES 16384   /* least distance of the prefetch */

/* Weights that will be needed soon; at each step along K, how many bytes to go
 * on and how many cache lines to ask for. They are asked for in the order they
 * lie in, although a tile takes them from 4 rows at once: memory likes it. */
typedef struct ahead {
    const char *at;
    int64_t bytes, lines;
} ahead;

/* === Tiles =============================================================== */

/* One step along K: acc[r][c] += x[r][lanes] * w[c][lanes]. */
INLINE512 void step(__m512 acc[ROWS][COLUMNS], const float *x, int64_t x_stride, const char *w,
                    int64_t w_stride, int64_t k, __mmask16 mask, int dtype, int R, int C)
{
    __m512 w_f32x16[COLUMNS];
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
        w_f32x16[c] = mask == 0xffff ? load_weights(w + c * w_stride, k, dtype)
                                     : load_weights_masked(w + c * w_stride, k, dtype, mask);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
        const float *x_r = x + r * x_stride + k;
        const __m512 x_f32x16 =
            mask == 0xffff ? _mm512_loadu_ps(x_r) : _mm512_maskz_loadu_ps(mask, x_r);
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c] = _mm512_fmadd_ps(w_f32x16[c], x_f32x16, acc[r][c]);
    }
}

/* sums[r][c] = x[r] . w[c] for R x C outputs. */
INLINE512 void tile(float *sums, int64_t sums_stride, const float *x, int64_t x_stride,
                    const char *w, int64_t w_stride, int64_t K, ahead next, int dtype, int R,
                    int C)
{
    __m512 acc[ROWS][COLUMNS];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c] = _mm512_setzero_ps();

    int64_t k = 0;
    for (; k + LANES <= K; k += LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < next.lines; i++)
            PYXGLM_PREFETCH_L2(next.at + 64 * i);
        next.at += next.bytes;
        step(acc, x, x_stride, w, w_stride, k, 0xffff, dtype, R, C);
    }
    if (k < K)
        step(acc, x, x_stride, w, w_stride, k, first_lanes(K - k), dtype, R, C);

#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        if (C == COLUMNS)
            _mm_storeu_ps(sums + r * sums_stride,
                          sums_of_4(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
        else
            sums[r * sums_stride] = sum_of(acc[r][0]);
}

/* The same with the number of rows known only at run time. */
INLINE512 void tile_of(int64_t R, float *sums, int64_t sums_stride, const float *x,
                       int64_t x_stride, const char *w, int64_t w_stride, int64_t K, ahead next,
                       int dtype, int C)
{
    switch (R) {
    case 1: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 1, C); break;
    case 2: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 2, C); break;
    case 3: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 3, C); break;
    case 4: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 4, C); break;
    case 5: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 5, C); break;
    case 6: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 6, C); break;
    }
}

/* Rows [0, M) are cut into the fewest tiles, of nearly equal height. The end of
 * the tile that begins at m: */
PYXGLM_INLINE int64_t tile_end(int64_t m, int64_t M)
{
    const int64_t tiles = (M - m + ROWS - 1) / ROWS;
    return m + (M - m + tiles - 1) / tiles;
}

/* === Loops =============================================================== */

/* sums[m][c] = x[m] . w[c] for M rows of x and C rows of w. */
INLINE512 void multiply(float *sums, const float *x, int64_t x_stride, int64_t M, const char *w,
                        int64_t w_stride, int64_t K, int dtype, int C)
{
    const int64_t distance = C * w_stride > AHEAD_BYTES ? C * w_stride : AHEAD_BYTES;
    const int64_t bytes = C * LANES * pyxglm_itemsize(dtype);
    const ahead next = {w + distance, bytes, (bytes + 63) / 64};
    for (int64_t m = 0, stop; m < M; m = stop) {
        stop = tile_end(m, M);
        tile_of(stop - m, sums + m * STRIP, STRIP, x + m * x_stride, x_stride, w, w_stride, K,
                next, dtype, C);
    }
}

/* Rows [m0, m1) of y, outputs [begin, end). */
INLINE512 void block(const pyxglm_linear_args *a, int64_t m0, int64_t m1, int64_t begin,
                     int64_t end, int dtype)
{
    const int64_t K = a->K, w_stride = K * pyxglm_itemsize(dtype);
    const int64_t x_stride = a->packed ? pyxglm_spread_stride(K) : K;
    const float *x = (a->packed ? (const float *)a->packed : a->x) + m0 * x_stride;
    const int alone = m1 - m0 == 1 && pyxglm_itemsize(dtype) == 2;
    float sums[BLOCK_ROWS * STRIP];
    for (int64_t n0 = begin; n0 < end; n0 += STRIP) {
        const int64_t n1 = n0 + STRIP < end ? n0 + STRIP : end;
        const char *w = (const char *)a->w + n0 * w_stride;
        int64_t n = n0;
        for (; n + COLUMNS <= n1 && !alone; n += COLUMNS, w += COLUMNS * w_stride)
            multiply(sums + n - n0, x, x_stride, m1 - m0, w, w_stride, K, dtype, COLUMNS);
        for (; n < n1; n++, w += w_stride)
            multiply(sums + n - n0, x, x_stride, m1 - m0, w, w_stride, K, dtype, 1);
        finish(a, sums, STRIP, m0, m1, n0, n1);
    }
}

INLINE512 void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    int64_t rows = BLOCK_BYTES / (4 * pyxglm_spread_stride(a->K));
    rows = rows > BLOCK_ROWS ? BLOCK_ROWS : rows < ROWS ? ROWS : rows / ROWS * ROWS;
    for (int64_t m = 0; m < a->M; m += rows)
        block(a, m, m + rows < a->M ? m + rows : a->M, begin, end, dtype);
}

PYXGLM_TARGET_AVX512 void pyxglm_linear_f32_avx512(const pyxglm_linear_args *a, int64_t begin,
                                                   int64_t end)
{
    linear(a, begin, end, PYXGLM_F32);
}

PYXGLM_TARGET_AVX512 void pyxglm_linear_f16_avx512(const pyxglm_linear_args *a, int64_t begin,
                                                   int64_t end)
{
    linear(a, begin, end, PYXGLM_F16);
}

PYXGLM_TARGET_AVX512 void pyxglm_linear_bf16_avx512(const pyxglm_linear_args *a, int64_t begin,
                                                    int64_t end)
{
    linear(a, begin, end, PYXGLM_BF16);
}

PYXGLM_TARGET_AVX512 void pyxglm_linear_i8_avx512(const pyxglm_linear_args *a, int64_t begin,
                                                  int64_t end)
{
    linear(a, begin, end, PYXGLM_I8);
}

/* bf16(x) bf16(w)^T: the same sums, of rounded numbers. For CPUs
 * without pairs of bfloat16: rounding costs more than it saves. */
INLINE512 void linear_coarse(const pyxglm_linear_args *a, int64_t begin, int64_t end,
                            int dtype)
{
    const pyxglm_linear_args of_rounded = pyxglm_of_rounded(a);
    linear(&of_rounded, begin, end, dtype);
}

PYXGLM_TARGET_AVX512 void pyxglm_linear_coarse_f32_avx512(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F32 | PYXGLM_ROUNDED);
}

PYXGLM_TARGET_AVX512 void pyxglm_linear_coarse_f16_avx512(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F16 | PYXGLM_ROUNDED);
}

PYXGLM_TARGET_AVX512 void pyxglm_linear_coarse_bf16_avx512(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_BF16);
}
