/* y = activation(x w^T + bias) + residual. Reference: pyxglm/ops/reference.py, linear.
 *
 * Dot form. Weights (N, K) and activations (M, K) are both contiguous along K,
 * so the accumulators run along K too: 8 lanes an output, in two registers,
 * lane i adding the products at i, i + 8, i + 16 ... by fma, and one tree over
 * the lanes at the end. Nothing is transposed, and the order of an output's
 * sum depends on K alone. Everything below only chooses which outputs are
 * computed together.
 *
 * A tile is R <= 3 rows of x by 4 rows of w: 24 accumulators, and half by half
 * 4 weights and one x: 29 of 32 registers. 24 chains cover a latency of 4
 * cycles on four FMA units; 7 loads feed 12 FMAs, and CPUs with two units load
 * two vectors a cycle, those with four load three.
 *
 * Few rows (decoding): each tile of weights comes from memory, is widened in
 * registers, and meets all rows. Many rows: widening anew for every 3 of them
 * would cost as much as the products (fcvtl has fewer units than fmla), so a
 * tile is widened once into a buffer, in L1 up to K = 2048 or so, and a block
 * of x passes it from L2, 8 bytes for 2 FMAs. The buffer's rows lie an odd
 * number of cache lines apart: rows of 4096 bytes would all compete for the
 * same few places. What is said of speed is reckoned, not measured; LLVM's models
 * of Neoverse N1, N2, V1 and V2 (llvm-mca 19) let a tile's loop keep 99 % of the
 * FMA units busy. */
#include "arm.h"
#include "math_neon.h"

#define COLUMNS 4          /* weight rows of a tile */
#define ROWS 3             /* most rows of x in a tile */
#define STEP (2 * LANES)   /* of K, at a time */
#define STRIP 64           /* outputs that are finished together */
#define BLOCK_ROWS 96      /* most rows of x that pass a tile's weights together */
#define BLOCK_BYTES 524288 /* and what they may take of L2 */
#define AHEAD_BYTES 2048   /* least distance of the prefetch, in a row of weights */
#define WIDEN_ROWS 7       /* from so many rows of x on, tiles are widened into a buffer */

/* === Tiles =============================================================== */

/* Adds the products of 8 places along K, the first n of which are there:
 * acc[r][c][half] += x[r][lanes] * w[c][lanes]. */
PYXGLM_INLINE void step(float32x4_t acc[ROWS][COLUMNS][2], const float *x, int64_t x_stride,
                        const char *w, int64_t w_stride, int64_t k, int64_t n, int dtype, int R,
                        int C)
{
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        const int64_t at = k + half * LANES, left = n - half * LANES;
        float32x4_t w_f32x4[COLUMNS];
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            w_f32x4[c] = load_first_weights(w + c * w_stride, at, dtype, left);
#pragma GCC unroll 3
        for (int r = 0; r < R; r++) {
            const float32x4_t x_f32x4 = load_first(x + r * x_stride + at, left);
#pragma GCC unroll 4
            for (int c = 0; c < C; c++) {
                acc[r][c][half] = vfmaq_f32(acc[r][c][half], w_f32x4[c], x_f32x4);
                PYXGLM_IN_REGISTER(acc[r][c][half]); /* or loads to come push it out */
            }
        }
    }
}

/* sums[r][c] = x[r] . w[c] for R x C outputs. Weights `ahead` bytes on, unless
 * that is 0, are asked for: one cache line of each row at a time. */
PYXGLM_INLINE void tile(float *sums, const float *x, int64_t x_stride, const char *w,
                        int64_t w_stride, int64_t K, int64_t ahead, int dtype, int R, int C)
{
    const int64_t line = 64 / pyxglm_itemsize(dtype);
    float32x4_t acc[ROWS][COLUMNS][2];
#pragma GCC unroll 3
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c][0] = acc[r][c][1] = vdupq_n_f32(0.0f);

    int64_t k = 0;
    for (; ahead && k + line <= K; k += line) {
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            PYXGLM_PREFETCH_L2(w + c * w_stride + k * pyxglm_itemsize(dtype) + ahead);
        for (int64_t i = k; i < k + line; i += STEP)
            step(acc, x, x_stride, w, w_stride, i, STEP, dtype, R, C);
    }
    for (; k + STEP <= K; k += STEP)
        step(acc, x, x_stride, w, w_stride, k, STEP, dtype, R, C);
    if (k < K)
        step(acc, x, x_stride, w, w_stride, k, K - k, dtype, R, C);

#pragma GCC unroll 3
    for (int r = 0; r < R; r++) {
        float32x4_t half_f32x4[COLUMNS];
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            half_f32x4[c] = vaddq_f32(acc[r][c][0], acc[r][c][1]);
        if (C == COLUMNS)
            vst1q_f32(sums + r * STRIP,
                      sums_of_4(half_f32x4[0], half_f32x4[1], half_f32x4[2], half_f32x4[3]));
        else
            sums[r * STRIP] = sum_of(half_f32x4[0]);
    }
}

/* sums[m][c] = x[m] . w[c] for M rows of x and C rows of w. Rows are cut into
 * the fewest tiles, of nearly equal height; the first asks for weights ahead. */
PYXGLM_INLINE void multiply(float *sums, const float *x, int64_t x_stride, int64_t M,
                            const char *w, int64_t w_stride, int64_t K, int64_t ahead, int dtype,
                            int C)
{
    for (int64_t m = 0, rows; m < M; m += rows, ahead = 0) {
        const int64_t tiles = (M - m + ROWS - 1) / ROWS;
        const float *x_m = x + m * x_stride;
        float *out = sums + m * STRIP;
        rows = (M - m + tiles - 1) / tiles;
        switch (rows) {
        case 1: tile(out, x_m, x_stride, w, w_stride, K, ahead, dtype, 1, C); break;
        case 2: tile(out, x_m, x_stride, w, w_stride, K, ahead, dtype, 2, C); break;
        case 3: tile(out, x_m, x_stride, w, w_stride, K, ahead, dtype, 3, C); break;
        }
    }
}

/* === What follows the sum ================================================ */

PYXGLM_INLINE void finish_as(const pyxglm_linear_args *a, const float *sums, int64_t m0,
                             int64_t m1, int64_t n0, int64_t n1, int64_t activation)
{
    for (int64_t m = m0; m < m1; m++)
        for (int64_t n = n0; n < n1; n += LANES) {
            const int64_t at = m * a->y_stride + n, left = n1 - n;
            float32x4_t y = load_first(sums + (m - m0) * STRIP + n - n0, left);
            if (a->bias)
                y = vaddq_f32(y, load_first(a->bias + n, left));
            y = activate_f32x4(y, activation);
            if (a->residual)
                y = vaddq_f32(y, load_first(a->residual + at, left));
            store_first(a->y + at, left, y);
        }
}

/* y = activation(sums + bias) + residual for rows [m0, m1), outputs [n0, n1). */
static void finish(const pyxglm_linear_args *a, const float *sums, int64_t m0, int64_t m1,
                   int64_t n0, int64_t n1)
{
    switch (a->activation) {
    case PYXGLM_GELU: finish_as(a, sums, m0, m1, n0, n1, PYXGLM_GELU); break;
    case PYXGLM_GELU_TANH: finish_as(a, sums, m0, m1, n0, n1, PYXGLM_GELU_TANH); break;
    case PYXGLM_RELU: finish_as(a, sums, m0, m1, n0, n1, PYXGLM_RELU); break;
    case PYXGLM_SILU: finish_as(a, sums, m0, m1, n0, n1, PYXGLM_SILU); break;
    default: finish_as(a, sums, m0, m1, n0, n1, PYXGLM_LINEAR); break;
    }
}

/* === Loops =============================================================== */

/* A tile of weights as floats. */
PYXGLM_INLINE void widen_tile(float *wide, const char *w, int64_t w_stride, int64_t K,
                              int64_t stride, int dtype)
{
    for (int c = 0; c < COLUMNS; c++)
        for (int64_t k = 0; k < K; k += LANES)
            vst1q_f32(wide + c * stride + k,
                      load_first_weights(w + c * w_stride, k, dtype, K - k));
}

/* Rows [m0, m1) of y, outputs [begin, end). `wide`: room for a tile, or NULL. */
PYXGLM_INLINE void block(const pyxglm_linear_args *a, float *wide, int64_t m0, int64_t m1,
                         int64_t begin, int64_t end, int dtype)
{
    const int64_t K = a->K, M = m1 - m0, w_stride = K * pyxglm_itemsize(dtype);
    const int64_t stride = pyxglm_spread_stride(K), tile_bytes = COLUMNS * w_stride;
    const int64_t ahead = tile_bytes > AHEAD_BYTES ? tile_bytes : AHEAD_BYTES;
    const float *x = a->x + m0 * K;
    float sums[BLOCK_ROWS * STRIP];
    for (int64_t n0 = begin; n0 < end; n0 += STRIP) {
        const int64_t n1 = n0 + STRIP < end ? n0 + STRIP : end;
        const char *w = (const char *)a->w + n0 * w_stride;
        int64_t n = n0;
        for (; n + COLUMNS <= n1; n += COLUMNS, w += tile_bytes) {
            if (wide) {
                widen_tile(wide, w, w_stride, K, stride, dtype);
                multiply(sums + n - n0, x, K, M, (const char *)wide, stride * 4, K, 0,
                         PYXGLM_F32, COLUMNS);
            } else {
                multiply(sums + n - n0, x, K, M, w, w_stride, K, ahead, dtype, COLUMNS);
            }
        }
        for (; n < n1; n++, w += w_stride)
            multiply(sums + n - n0, x, K, M, w, w_stride, K, 0, dtype, 1);
        finish(a, sums, m0, m1, n0, n1);
    }
}

PYXGLM_INLINE void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t stride = pyxglm_spread_stride(a->K);
    int64_t rows = BLOCK_BYTES / (4 * stride);
    rows = rows > BLOCK_ROWS ? BLOCK_ROWS : rows < ROWS ? ROWS : rows / ROWS * ROWS;
    float *wide = NULL; /* without memory for it: slower, the same bits */
    if (a->M >= WIDEN_ROWS)
        wide = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, (size_t)(COLUMNS * stride) * sizeof *wide);
    for (int64_t m = 0; m < a->M; m += rows)
        block(a, wide, m, m + rows < a->M ? m + rows : a->M, begin, end, dtype);
}

void pyxglm_linear_f32_neon(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_F32);
}

void pyxglm_linear_f16_neon(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_F16);
}

void pyxglm_linear_bf16_neon(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_BF16);
}

void pyxglm_linear_i8_neon(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_I8);
}

/* bf16(x) bf16(w)^T: the same sums, of rounded numbers. What is
 * rounded into the buffer of a tile is rounded once for many rows of x. */
PYXGLM_INLINE void linear_coarse(const pyxglm_linear_args *a, int64_t begin, int64_t end,
                            int dtype)
{
    const pyxglm_linear_args of_rounded = pyxglm_of_rounded(a);
    linear(&of_rounded, begin, end, dtype);
}

void pyxglm_linear_coarse_f32_neon(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F32 | PYXGLM_ROUNDED);
}

void pyxglm_linear_coarse_f16_neon(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F16 | PYXGLM_ROUNDED);
}

void pyxglm_linear_coarse_bf16_neon(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_BF16);
}
