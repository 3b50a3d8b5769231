/* y = activation(x w^T + bias) + residual. Reference: pyxglm/ops/reference.py, linear.
 *
 * Dot form, as in linear_avx512.c: 8 lanes an output that run along K, and one
 * tree over the lanes at the end.
 *
 * A tile is R <= 6 rows of x by 2 rows of w: 12 accumulators, 2 weights and one
 * x, 15 of 16 registers (with 16 of 16, gcc 12 spills). 12 chains cover an FMA
 * latency of 4 or 5 at two a cycle; 8 loads feed 12 FMAs, and two loads go in
 * a cycle. For one or two rows it is 6 rows of w, to have as many chains.
 *
 * Few rows (decoding): each tile of weights comes from memory, is widened in
 * registers, and meets all rows. Many rows: 32 bytes of x a cycle are more
 * than L2 gives, so it is 6 rows of x that stay in L1, and a strip of 60 rows
 * of w that passes them from L2, 5 or 11 bytes a cycle. Then K is cut at 1024,
 * and accumulators rest in memory between the cuts, all lanes of them. */
#include "math_avx2.h"
#include "x86.h"

#define COLUMNS 2          /* weight rows of a tile */
#define ROWS 6             /* most rows of x in a tile */
#define WIDE_COLUMNS 6     /* weight rows of a tile for one or two rows of x */
#define TILES 30           /* tiles of a strip */
#define STRIP (TILES * COLUMNS)
#define BLOCK_ROWS 96      /* most rows of x that pass a strip together */
#define BLOCK_BYTES 458752 /* and what they may take of L2 */
#define AHEAD_BYTES 4096   /* least distance of the prefetch */
#define MANY_ROWS 17       /* from so many on, a strip and not a tile is kept */
#define CUT_K 1024         /* and K is cut, and x copied */

/* Accumulators between cuts of K, by rows of x and tiles of a strip. */
typedef struct workspace {
    __m256 rest[BLOCK_ROWS][TILES][COLUMNS];
    float x[];
} workspace;

/* Where a tile's K begins and ends in the whole. */
typedef struct cut {
    int64_t k, width;
    int first, last;
} cut;

/* === Tiles =============================================================== */

/* One step along K: acc[r][c] += x[r][lanes] * w[c][lanes], on n <= 8 lanes. */
INLINE256 void step(__m256 acc[ROWS][WIDE_COLUMNS], const float *x, int64_t x_stride, const char *w,
                    int64_t w_stride, int64_t k, int64_t n, int dtype, int R, int C)
{
    __m256 w_f32x8[WIDE_COLUMNS];
#pragma GCC unroll 6
    for (int c = 0; c < C; c++) {
        w_f32x8[c] = n == LANES ? load_weights(w + c * w_stride, k, dtype)
                                : load_first_weights(w + c * w_stride, k, dtype, n);
        PYXGLM_IN_REGISTER(w_f32x8[c]); /* one load, not one for each of R rows */
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
        __m256 x_f32x8 = load_first(x + r * x_stride + k, n);
        PYXGLM_IN_REGISTER(x_f32x8);
#pragma GCC unroll 6
        for (int c = 0; c < C; c++)
            acc[r][c] = _mm256_fmadd_ps(w_f32x8[c], x_f32x8, acc[r][c]);
    }
}

/* sums[r][c] = x[r] . w[c] for R x C outputs, over one cut of K. Accumulators
 * start from `rest` unless the cut is the first, and go there unless it is the
 * last. Weights `ahead` bytes on are asked for, one cache line a row and time. */
INLINE256 void tile(float *sums, __m256 (*rest)[TILES][COLUMNS], const float *x,
                    int64_t x_stride, const char *w, int64_t w_stride, cut part, int64_t ahead,
                    int dtype, int R, int C)
{
    const int64_t line = 64 / pyxglm_itemsize(dtype), end = part.k + part.width;
    __m256 acc[ROWS][WIDE_COLUMNS];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 6
        for (int c = 0; c < C; c++)
            acc[r][c] = part.first ? _mm256_setzero_ps() : rest[r][0][c];

    int64_t k = part.k;
    for (; k + line <= end; k += line) {
        if (ahead)
#pragma GCC unroll 6
            for (int c = 0; c < C; c++)
                PYXGLM_PREFETCH_L2(w + c * w_stride + k * pyxglm_itemsize(dtype) + ahead);
#pragma GCC unroll 6
        for (int64_t i = 0; i < line; i += LANES)
            step(acc, x, x_stride, w, w_stride, k + i, LANES, dtype, R, C);
    }
    for (; k + LANES <= end; k += LANES)
        step(acc, x, x_stride, w, w_stride, k, LANES, dtype, R, C);
    if (k < end)
        step(acc, x, x_stride, w, w_stride, k, end - k, dtype, R, C);

    if (!part.last) {
#pragma GCC unroll 6
        for (int r = 0; r < R; r++)
#pragma GCC unroll 6
            for (int c = 0; c < C; c++)
                rest[r][0][c] = acc[r][c];
        return;
    }
    if (C == 1)
#pragma GCC unroll 6
        for (int r = 0; r < R; r++)
            sums[r * STRIP] = sum_of(acc[r][0]);
    else if (C == COLUMNS)
#pragma GCC unroll 3
        for (int r = 0; r < R; r += 2) {
            const int s = r + 1 < R ? r + 1 : r;
            const __m128 four = sums_of_4(acc[r][0], acc[r][1], acc[s][0], acc[s][1]);
            _mm_storel_pi((__m64 *)(sums + r * STRIP), four);
            if (s > r)
                _mm_storeh_pi((__m64 *)(sums + s * STRIP), four);
        }
    else
#pragma GCC unroll 2
        for (int r = 0; r < R; r++) {
            _mm_storeu_ps(sums + r * STRIP,
                          sums_of_4(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
            _mm_storel_pi((__m64 *)(sums + r * STRIP + 4),
                          sums_of_4(acc[r][4], acc[r][5], acc[r][4], acc[r][5]));
        }
}

/* The same with the number of rows known only at run time. */
INLINE256 void tile_of(int64_t R, float *sums, __m256 (*rest)[TILES][COLUMNS], const float *x,
                       int64_t x_stride, const char *w, int64_t w_stride, cut part,
                       int64_t ahead, int dtype, int C)
{
    switch (R) {
    case 1: tile(sums, rest, x, x_stride, w, w_stride, part, ahead, dtype, 1, C); break;
    case 2: tile(sums, rest, x, x_stride, w, w_stride, part, ahead, dtype, 2, C); break;
    }
    if (C > COLUMNS)
        return;
    switch (R) {
    case 3: tile(sums, rest, x, x_stride, w, w_stride, part, ahead, dtype, 3, C); break;
    case 4: tile(sums, rest, x, x_stride, w, w_stride, part, ahead, dtype, 4, C); break;
    case 5: tile(sums, rest, x, x_stride, w, w_stride, part, ahead, dtype, 5, C); break;
    case 6: tile(sums, rest, x, x_stride, w, w_stride, part, ahead, dtype, 6, C); break;
    }
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

/* Floats from row to row in a copy of x: whole cache lines, and an odd number. */
PYXGLM_INLINE int64_t spread_stride(int64_t K)
{
    return ((K + 15) / 16 | 1) * 16;
}

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

/* sums[m][n] for M rows of x and `tiles` tiles of w. Each tile of the next
 * `tiles` is asked for once, in turn while the rows pass. */
INLINE256 void multiply(float *sums, workspace *own, const float *x, int64_t x_stride, int64_t M,
                        const char *w, int64_t w_stride, int64_t tiles, cut part, int dtype,
                        int C)
{
    const int64_t tile_bytes = C * w_stride, passes = (M + ROWS - 1) / ROWS;
    int64_t ahead = tiles * tile_bytes;
    if (ahead > 0 && ahead < AHEAD_BYTES)
        ahead *= (AHEAD_BYTES + ahead - 1) / ahead;
    int64_t pass = 0;
    for (int64_t m = 0, stop; m < M; m = stop, pass++) {
        stop = tile_end(m, M);
        for (int64_t i = 0; i < tiles; i++)
            tile_of(stop - m, sums + m * STRIP + i * C,
                    own ? (__m256(*)[TILES][COLUMNS]) & own->rest[m][i] : NULL,
                    x + m * x_stride, x_stride, w + i * tile_bytes, w_stride, part,
                    i % passes == pass ? ahead : 0, dtype, C);
    }
}

/* Rows [m0, m1) of y, outputs [begin, end). */
INLINE256 void block(const pyxglm_linear_args *a, workspace *own, int64_t m0, int64_t m1,
                     int64_t begin, int64_t end, int dtype)
{
    const int64_t K = a->K, M = m1 - m0, w_stride = K * pyxglm_itemsize(dtype);
    const int64_t x_stride = own ? spread_stride(K) : K, cut_k = own ? CUT_K : K + 1;
    const float *x = a->x + m0 * K;
    if (own)
        x = spread_rows(own->x, x, M, K, x_stride);
    const cut whole = {0, K, 1, 1};
    float sums[BLOCK_ROWS * STRIP];
    for (int64_t n0 = begin; n0 < end; n0 += STRIP) {
        const int64_t n1 = n0 + STRIP < end ? n0 + STRIP : end;
        const char *w = (const char *)a->w + n0 * w_stride;
        int64_t n = n0;
        if (M <= 2)
            for (; n + WIDE_COLUMNS <= n1; n += WIDE_COLUMNS)
                multiply(sums + n - n0, NULL, x, x_stride, M, w + (n - n0) * w_stride, w_stride,
                         1, whole, dtype, WIDE_COLUMNS);
        const int64_t tiles = (n1 - n) / COLUMNS, group = own ? tiles : 1;
        for (int64_t k = 0; k == 0 || k < K; k += cut_k) {
            const int64_t width = K - k < cut_k ? K - k : cut_k;
            const cut part = {k, width, k == 0, k + width == K};
            for (int64_t i = 0; i < tiles; i += group)
                multiply(sums + n - n0 + i * COLUMNS, own, x, x_stride, M,
                         w + (n - n0 + i * COLUMNS) * w_stride, w_stride, group, part, dtype,
                         COLUMNS);
        }
        for (n += tiles * COLUMNS; n < n1; n++)
            multiply(sums + n - n0, NULL, x, x_stride, M, w + (n - n0) * w_stride, w_stride, 1,
                     whole, dtype, 1);
        finish(a, sums, STRIP, m0, m1, n0, n1);
    }
}

INLINE256 void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t stride = spread_stride(a->K);
    int64_t rows = BLOCK_BYTES / (4 * stride);
    rows = rows > BLOCK_ROWS ? BLOCK_ROWS : rows < ROWS ? ROWS : rows / ROWS * ROWS;
    workspace *own = NULL; /* without memory for it: slower, the same bits */
    if (a->M >= MANY_ROWS && end - begin >= STRIP)
        own = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL,
                             sizeof *own + (size_t)(rows * stride) * sizeof *own->x);
    for (int64_t m = 0; m < a->M; m += rows)
        block(a, own, m, m + rows < a->M ? m + rows : a->M, begin, end, dtype);
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
