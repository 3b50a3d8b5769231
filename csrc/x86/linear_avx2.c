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
 * than L2 gives, so it is 6 rows of x that stay in L1, and a strip of 64 rows
 * of w that passes them from L2, 5 or 11 bytes a cycle. Then K is cut at 1024,
 * and accumulators rest in memory between the cuts, all lanes of them. */
#include "finish_avx2.h"
#include "x86.h"

#define COLUMNS 2          /* weight rows of a tile */
#define ROWS 6             /* most rows of x in a tile */
#define WIDE_COLUMNS 6     /* weight rows of a tile for one or two rows of x */
#define TILES 32           /* tiles of a strip: 64 outputs, as small pieces of a call have */
#define STRIP (TILES * COLUMNS)
#define BLOCK_ROWS 96      /* most rows of x that pass a strip together */
#define BLOCK_BYTES 458752 /* and what they may take of L2 */
#define AHEAD_BYTES 4096   /* least distance of the prefetch */
#define MANY_ROWS 17       /* from so many on, a strip and not a tile is kept */
#define CUT_K 1024         /* and K is cut */

/* A tile, or with `tiles` a row of them: rows of x and of w, and the cut of K,
 * [begin, end), over which they are multiplied. Accumulators start from `rest`
 * unless the cut is the first, and go there unless it is the last. Weights
 * `ahead` bytes on are asked for, unless that is 0. */
typedef struct tile_args {
    float *sums;
    __m256 *rest;
    const float *x;
    const char *w;
    int64_t x_stride, w_stride, begin, end, ahead;
    int first, last;
} tile_args;
typedef void tile_fn(const tile_args *t);

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

/* sums[r][c] = x[r] . w[c] for R x C outputs. */
INLINE256 void tile(const tile_args *t, int dtype, int R, int C)
{
    const float *x = t->x;
    const char *w = t->w;
    const int64_t x_stride = t->x_stride, w_stride = t->w_stride, end = t->end;
    const int64_t line = 64 / pyxglm_itemsize(dtype), ahead = t->ahead;
    __m256 acc[ROWS][WIDE_COLUMNS];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 6
        for (int c = 0; c < C; c++)
            acc[r][c] = t->first ? _mm256_setzero_ps() : t->rest[r * STRIP + c];

    int64_t k = t->begin;
    for (; k + line <= end; k += line) {
        if (ahead) /* one cache line a row and time */
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

    float *sums = t->sums;
    if (!t->last) {
#pragma GCC unroll 6
        for (int r = 0; r < R; r++)
#pragma GCC unroll 6
            for (int c = 0; c < C; c++)
                t->rest[r * STRIP + c] = acc[r][c];
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

/* Each shape is a function of its own: inlined into one, they leave gcc 12 too
 * few registers, and it spends more loads on that than on the operands. */
#define TILE(name, dtype, R, C)                                                     \
    PYXGLM_TARGET_AVX2 PYXGLM_NOINLINE static void name(const tile_args *t)         \
    {                                                                               \
        tile(t, dtype, R, C);                                                       \
    }
#define TILES_OF(suffix, dtype)                                                     \
    TILE(tile_1x1_##suffix, dtype, 1, 1)                                            \
    TILE(tile_1x2_##suffix, dtype, 1, 2)                                            \
    TILE(tile_2x2_##suffix, dtype, 2, 2)                                            \
    TILE(tile_3x2_##suffix, dtype, 3, 2)                                            \
    TILE(tile_4x2_##suffix, dtype, 4, 2)                                            \
    TILE(tile_5x2_##suffix, dtype, 5, 2)                                            \
    TILE(tile_6x2_##suffix, dtype, 6, 2)                                            \
    TILE(tile_1x6_##suffix, dtype, 1, 6)                                            \
    TILE(tile_2x6_##suffix, dtype, 2, 6)
TILES_OF(f32, PYXGLM_F32)
TILES_OF(f16, PYXGLM_F16)
TILES_OF(bf16, PYXGLM_BF16)
TILES_OF(i8, PYXGLM_I8)
TILES_OF(f32_rounded, PYXGLM_F32 | PYXGLM_ROUNDED)
TILES_OF(f16_rounded, PYXGLM_F16 | PYXGLM_ROUNDED)

/* By stored dtype, and whether it is rounded; 1 x 1, then 1 to 6 rows by 2, then 1 and 2 rows by 6. */
#define ALL_OF(suffix)                                                              \
    {tile_1x1_##suffix, tile_1x2_##suffix, tile_2x2_##suffix, tile_3x2_##suffix,    \
     tile_4x2_##suffix, tile_5x2_##suffix, tile_6x2_##suffix, tile_1x6_##suffix,    \
     tile_2x6_##suffix}
static tile_fn *const tile_fns[][ROWS + 3] = {
    [PYXGLM_F32] = ALL_OF(f32), [PYXGLM_F16] = ALL_OF(f16), [PYXGLM_BF16] = ALL_OF(bf16),
    [PYXGLM_I8] = ALL_OF(i8),
    [PYXGLM_F32 | PYXGLM_ROUNDED] = ALL_OF(f32_rounded),
    [PYXGLM_F16 | PYXGLM_ROUNDED] = ALL_OF(f16_rounded)};

static tile_fn *tile_for(int dtype, int64_t R, int C)
{
    return tile_fns[dtype][C == 1 ? 0 : C == COLUMNS ? R : ROWS + R];
}

/* Rows [0, M) are cut into the fewest tiles, of nearly equal height. The end of
 * the tile that begins at m: */
PYXGLM_INLINE int64_t tile_end(int64_t m, int64_t M)
{
    const int64_t tiles = (M - m + ROWS - 1) / ROWS;
    return m + (M - m + tiles - 1) / tiles;
}

/* === Loops =============================================================== */

/* sums[m][n] for M rows of x and `tiles` tiles of w, C weights each. Each tile
 * of the next `tiles` is asked for once, in turn while the rows pass. */
static void multiply(tile_args t, __m256 *rest, int64_t M, int64_t tiles, int dtype, int C)
{
    const float *x = t.x;
    const char *w = t.w;
    float *sums = t.sums;
    const int64_t tile_bytes = C * t.w_stride;
    const int64_t passes = C == 1 ? M : (M + ROWS - 1) / ROWS;
    int64_t ahead = tiles * tile_bytes, pass = 0;
    if (ahead > 0 && ahead < AHEAD_BYTES)
        ahead *= (AHEAD_BYTES + ahead - 1) / ahead;
    for (int64_t m = 0, stop; m < M; m = stop, pass++) {
        stop = C == 1 ? m + 1 : tile_end(m, M);
        tile_fn *const run = tile_for(dtype, stop - m, C);
        for (int64_t i = 0; i < tiles; i++) {
            t.sums = sums + m * STRIP + i * C;
            t.rest = rest ? rest + m * STRIP + i * C : NULL;
            t.x = x + m * t.x_stride;
            t.w = w + i * tile_bytes;
            t.ahead = i % passes == pass ? ahead : 0;
            run(&t);
        }
    }
}

/* `outputs` of them, at most a strip, of M rows of x. `rest`: room for accumulators
 * between cuts of K, by rows of x and outputs; or NULL. */
static void strip(float *sums, __m256 *rest, const float *x, int64_t x_stride, int64_t M,
                  const char *w, int64_t outputs, int64_t K, int dtype)
{
    const int64_t w_stride = K * pyxglm_itemsize(dtype);
    tile_args t = {.sums = sums, .x = x, .x_stride = x_stride, .w = w, .w_stride = w_stride,
                   .end = K, .first = 1, .last = 1};
    int64_t n = 0;
    if (M <= 2) /* a tile of 6 rows of w at a time, from first to last */
        for (; n + WIDE_COLUMNS <= outputs; n += WIDE_COLUMNS) {
            multiply(t, NULL, M, 1, dtype, WIDE_COLUMNS);
            t.w += WIDE_COLUMNS * w_stride;
            t.sums += WIDE_COLUMNS;
        }
    const int64_t tiles = (outputs - n) / COLUMNS;
    if (rest)
        for (int64_t k = 0; k == 0 || k < K; k += CUT_K) {
            t.begin = k;
            t.end = K - k < CUT_K ? K : k + CUT_K;
            t.first = k == 0;
            t.last = t.end == K;
            multiply(t, rest, M, tiles, dtype, COLUMNS);
        }
    else
        for (int64_t i = 0; i < tiles; i++) {
            multiply(t, NULL, M, 1, dtype, COLUMNS);
            t.w += COLUMNS * w_stride;
            t.sums += COLUMNS;
        }
    for (n += tiles * COLUMNS; n < outputs; n++)
        multiply((tile_args){.sums = sums + n, .x = x, .x_stride = x_stride,
                             .w = w + n * w_stride, .w_stride = w_stride, .end = K, .first = 1,
                             .last = 1},
                 NULL, M, 1, dtype, 1);
}

PYXGLM_TARGET_AVX2 static void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end,
                                      int dtype)
{
    const int64_t K = a->K, x_stride = a->packed ? pyxglm_spread_stride(K) : K;
    const float *x = a->packed ? a->packed : a->x;
    int64_t rows = BLOCK_BYTES / (4 * pyxglm_spread_stride(K));
    rows = rows > BLOCK_ROWS ? BLOCK_ROWS : rows < ROWS ? ROWS : rows / ROWS * ROWS;
    __m256 *rest = NULL; /* without memory for it: slower, the same bits */
    if (a->M >= MANY_ROWS && end - begin >= STRIP)
        rest = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, BLOCK_ROWS * STRIP * sizeof *rest);
    float sums[BLOCK_ROWS * STRIP];
    for (int64_t m0 = 0; m0 < a->M; m0 += rows) {
        const int64_t m1 = m0 + rows < a->M ? m0 + rows : a->M;
        for (int64_t n0 = begin; n0 < end; n0 += STRIP) {
            const int64_t n1 = n0 + STRIP < end ? n0 + STRIP : end;
            strip(sums, rest, x + m0 * x_stride, x_stride, m1 - m0,
                  (const char *)a->w + n0 * K * pyxglm_itemsize(dtype), n1 - n0, K, dtype);
            finish(a, sums, STRIP, m0, m1, n0, n1);
        }
    }
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

PYXGLM_TARGET_AVX2 void pyxglm_linear_i8_avx2(const pyxglm_linear_args *a, int64_t begin,
                                              int64_t end)
{
    linear(a, begin, end, PYXGLM_I8);
}

/* bf16(x) bf16(w)^T: the same sums, of rounded numbers. Rounding
 * costs more than it saves: this mode is fast where the CPU knows bfloat16. */
static void linear_coarse(const pyxglm_linear_args *a, int64_t begin, int64_t end,
                            int dtype)
{
    const pyxglm_linear_args of_rounded = pyxglm_of_rounded(a);
    linear(&of_rounded, begin, end, dtype);
}

void pyxglm_linear_coarse_f32_avx2(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F32 | PYXGLM_ROUNDED);
}

void pyxglm_linear_coarse_f16_avx2(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F16 | PYXGLM_ROUNDED);
}

void pyxglm_linear_coarse_bf16_avx2(const pyxglm_linear_args *a, int64_t begin,
                                      int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_BF16);
}
