/* y = activation(x w^T + bias) + residual. Reference: pyxglm/ops/reference.py, linear.
 *
 * Dot form, as in linear_avx512.c: 8 lanes an output that run along K, and one
 * tree over the lanes at the end.
 *
 * A tile is R <= 4 rows of x by 3 rows of w: 12 accumulators, 3 weights and one
 * x are the 16 registers there are. 12 chains cover an FMA latency of 4 or 5
 * at two a cycle; 7 loads feed 12 FMAs, and two loads go in a cycle.
 */
#include "math_avx2.h"

#define COLUMNS 3           /* weight rows of a tile */
#define ROWS 4              /* most rows of x in a tile */
#define STRIP 60            /* outputs that are finished together: 20 tiles */
#define SUMS_STRIDE 64      /* tiles store 4 sums, the next overwrites the fourth */
#define BLOCK_ROWS 96       /* most rows of x that pass a tile's weights together */
#define BLOCK_BYTES 458752  /* and what they may take of L2 */
#define AHEAD_BYTES 4096    /* least distance of the prefetch */
#define SPREAD_ROWS 12      /* from so many rows of x and outputs on */
#define SPREAD_OUTPUTS 64   /* a copy of x pays */

/* Weights that will be needed soon, and cache lines to ask for at each step. */
typedef struct ahead {
    const char *at;
    int64_t lines;
} ahead;

/* === Tiles =============================================================== */

/* One step along K: acc[r][c] += x[r][lanes] * w[c][lanes], on n <= 8 lanes. */
INLINE256 void step(__m256 acc[ROWS][COLUMNS], const float *x, int64_t x_stride, const char *w,
                    int64_t w_stride, int64_t k, int64_t n, int dtype, int R, int C)
{
    __m256 w_f32x8[COLUMNS];
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
        w_f32x8[c] = n == LANES ? load_weights(w + c * w_stride, k, dtype)
                                : load_first_weights(w + c * w_stride, k, dtype, n);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const __m256 x_f32x8 = load_first(x + r * x_stride + k, n);
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c] = _mm256_fmadd_ps(w_f32x8[c], x_f32x8, acc[r][c]);
    }
}

/* sums[r][c] = x[r] . w[c] for R x C outputs. */
INLINE256 void tile(float *sums, int64_t sums_stride, const float *x, int64_t x_stride,
                    const char *w, int64_t w_stride, int64_t K, ahead next, int dtype, int R,
                    int C)
{
    __m256 acc[ROWS][COLUMNS];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c] = _mm256_setzero_ps();

    int64_t k = 0;
    for (; k + LANES <= K; k += LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < next.lines; i++)
            PYXGLM_PREFETCH_L2(next.at + 64 * i);
        next.at += 64 * next.lines;
        step(acc, x, x_stride, w, w_stride, k, LANES, dtype, R, C);
    }
    if (k < K)
        step(acc, x, x_stride, w, w_stride, k, K - k, dtype, R, C);

#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
        if (C == COLUMNS)
            _mm_storeu_ps(sums + r * sums_stride,
                          sums_of_4(acc[r][0], acc[r][1], acc[r][2], acc[r][2]));
        else
            sums[r * sums_stride] = sum_of(acc[r][0]);
}

/* The same with the number of rows known only at run time. */
INLINE256 void tile_of(int64_t R, float *sums, int64_t sums_stride, const float *x,
                       int64_t x_stride, const char *w, int64_t w_stride, int64_t K, ahead next,
                       int dtype, int C)
{
    switch (R) {
    case 1: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 1, C); break;
    case 2: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 2, C); break;
    case 3: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 3, C); break;
    case 4: tile(sums, sums_stride, x, x_stride, w, w_stride, K, next, dtype, 4, C); break;
    }
}

/* Floats from row to row in a copy of x: whole cache lines, and an odd number. */
PYXGLM_INLINE int64_t spread_stride(int64_t K)
{
    return ((K + 15) / 16 | 1) * 16;
}

/* Rows [0, M) are cut into the fewest tiles, of nearly equal height. The end of
 * the tile that begins at m: */
PYXGLM_INLINE int64_t tile_end(int64_t m, int64_t M)
{
    const int64_t tiles = (M - m + ROWS - 1) / ROWS;
    return m + (M - m + tiles - 1) / tiles;
}

/* === What follows the sum ================================================ */

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

/* === Loops =============================================================== */

/* A copy of rows of x for a block of many: its vectors lie within cache lines
 * (a load across two counts double) and rows start in different cache sets
 * (the rows of a matrix 4096 bytes wide all start in one, which has 8 places). */
INLINE256 const float *spread_rows(float *copy, const float *x, int64_t rows, int64_t K,
                                   int64_t stride)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < K; k += LANES)
            _mm256_store_ps(copy + r * stride + k, load_first(x + r * K + k, K - k));
    return copy;
}

/* sums[m][c] = x[m] . w[c] for M rows of x and C rows of w. */
INLINE256 void multiply(float *sums, const float *x, int64_t x_stride, int64_t M, const char *w,
                        int64_t w_stride, int64_t K, int dtype, int C)
{
    const int64_t group = C * w_stride > AHEAD_BYTES ? C * w_stride : AHEAD_BYTES;
    const ahead next = {w + group, C * LANES * pyxglm_itemsize(dtype) / 64};
    for (int64_t m = 0, stop; m < M; m = stop) {
        stop = tile_end(m, M);
        tile_of(stop - m, sums + m * SUMS_STRIDE, SUMS_STRIDE, x + m * x_stride, x_stride, w, w_stride, K,
                next, dtype, C);
    }
}

/* Rows [m0, m1) of y, outputs [begin, end). */
INLINE256 void block(const pyxglm_linear_args *a, float *copy, int64_t m0, int64_t m1,
                     int64_t begin, int64_t end, int dtype)
{
    const int64_t K = a->K, w_stride = K * pyxglm_itemsize(dtype);
    const float *x = a->x + m0 * K;
    int64_t x_stride = K;
    if (copy) {
        x_stride = spread_stride(K);
        x = spread_rows(copy, x, m1 - m0, K, x_stride);
    }
    float sums[BLOCK_ROWS * SUMS_STRIDE];
    for (int64_t n0 = begin; n0 < end; n0 += STRIP) {
        const int64_t n1 = n0 + STRIP < end ? n0 + STRIP : end;
        const char *w = (const char *)a->w + n0 * w_stride;
        int64_t n = n0;
        for (; n + COLUMNS <= n1; n += COLUMNS, w += COLUMNS * w_stride)
            multiply(sums + n - n0, x, x_stride, m1 - m0, w, w_stride, K, dtype, COLUMNS);
        for (; n < n1; n++, w += w_stride)
            multiply(sums + n - n0, x, x_stride, m1 - m0, w, w_stride, K, dtype, 1);
        finish(a, sums, SUMS_STRIDE, m0, m1, n0, n1);
    }
}

INLINE256 void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t stride = spread_stride(a->K);
    int64_t rows = BLOCK_BYTES / (4 * stride);
    rows = rows > BLOCK_ROWS ? BLOCK_ROWS : rows < ROWS ? ROWS : rows / ROWS * ROWS;
    float *copy = NULL; /* without memory for it: slower, the same bits */
    if (a->M >= SPREAD_ROWS && end - begin >= SPREAD_OUTPUTS)
        copy = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, (size_t)(rows * stride) * sizeof *copy);
    for (int64_t m = 0; m < a->M; m += rows)
        block(a, copy, m, m + rows < a->M ? m + rows : a->M, begin, end, dtype);
}

PYXGLM_TARGET_AVX2 void pyxglm_linear_f32_avx2(const pyxglm_linear_args *a, int64_t begin,
                                                   int64_t end)
{
    linear(a, begin, end, PYXGLM_F32);
}

PYXGLM_TARGET_AVX2 void pyxglm_linear_f16_avx2(const pyxglm_linear_args *a, int64_t begin,
                                                   int64_t end)
{
    linear(a, begin, end, PYXGLM_F16);
}

PYXGLM_TARGET_AVX2 void pyxglm_linear_bf16_avx2(const pyxglm_linear_args *a, int64_t begin,
                                                    int64_t end)
{
    linear(a, begin, end, PYXGLM_BF16);
}
