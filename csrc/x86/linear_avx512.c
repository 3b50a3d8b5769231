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
 * 512-bit FMA and one 512-bit load a cycle, Intel two and two, so FMAs bound it
 * on both; 24 independent chains cover the latency of 4 with room.
 *
 * Few rows (decoding): the weights stream from memory and are widened in
 * registers; a prefetch runs one group of 4 rows ahead, because a row of 2 KiB
 * ends before the hardware prefetcher has understood it.
 *
 * Many rows (prompts): a panel of weight rows is widened once into a buffer
 * that stays in L2 and is used by all rows of x. 6 rows of x by 1024 stay
 * in L1 while the panel streams past: 4 lines from L2 for 24 FMAs. Longer rows
 * are cut at 1024; the accumulators then rest in memory between the cuts, all
 * lanes of them, which changes no order. */
#include "math_avx512.h"

#define COLUMNS 4        /* weight rows of a tile */
#define ROWS 6           /* most rows of x in a tile */
#define FEW_ROWS 8       /* up to here weights are widened in registers */
#define STRIP 64         /* outputs that few_rows() finishes together */
#define PANEL_ROWS 32    /* weight rows of a panel */
#define PANEL_K 1024     /* and their length; 32 x 1024 floats are 128 KiB */
#define PANEL_STRIDE (PANEL_K + LANES) /* keeps rows out of each other's cache sets */
#define BLOCK_M 120      /* rows of x that share a widened panel */

/* What many_rows() keeps in scratch memory. */
typedef struct workspace {
    float panel[PANEL_ROWS * PANEL_STRIDE];
    float sums[BLOCK_M * PANEL_ROWS];
    __m512 rest[BLOCK_M * PANEL_ROWS]; /* accumulators between cuts of K */
} workspace;

/* The next weights to be used, and how many of their bytes to ask for at each
 * step along K. */
typedef struct ahead {
    const char *at;
    int64_t bytes;
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

/* sums[r][c] = x[r] . w[c] for R x C outputs. If `rest` is given, accumulators
 * start from it unless this is the first cut of K, and go there unless it is
 * the last. */
INLINE512 void tile(float *sums, int64_t sums_stride, __m512 *rest, int first, int last,
                    const float *x, int64_t x_stride, const char *w, int64_t w_stride,
                    int64_t K, ahead next, int dtype, int R, int C)
{
    __m512 acc[ROWS][COLUMNS];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
            acc[r][c] = first ? _mm512_setzero_ps() : rest[r * COLUMNS + c];

    int64_t k = 0;
    for (; k + LANES <= K; k += LANES) {
        PYXGLM_PREFETCH_L2(next.at);
        if (R <= 2)
            PYXGLM_PREFETCH_L2(next.at + next.bytes / 2);
        next.at += next.bytes;
        step(acc, x, x_stride, w, w_stride, k, 0xffff, dtype, R, C);
    }
    if (k < K)
        step(acc, x, x_stride, w, w_stride, k, first_lanes(K - k), dtype, R, C);

#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
        if (!last)
#pragma GCC unroll 4
            for (int c = 0; c < C; c++)
                rest[r * COLUMNS + c] = acc[r][c];
        else if (C == COLUMNS)
            _mm_storeu_ps(sums + r * sums_stride,
                          sums_of_4(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
        else
#pragma GCC unroll 4
            for (int c = 0; c < C; c++)
                sums[r * sums_stride + c] = sum_of(acc[r][c]);
    }
}

/* The same with the number of rows known only at run time. */
INLINE512 void tile_of(int64_t R, float *sums, int64_t sums_stride, __m512 *rest, int first,
                       int last, const float *x, int64_t x_stride, const char *w,
                       int64_t w_stride, int64_t K, ahead next, int dtype, int C)
{
#define ARGUMENTS sums, sums_stride, rest, first, last, x, x_stride, w, w_stride, K, next, dtype
    switch (R) {
    case 1: tile(ARGUMENTS, 1, C); break;
    case 2: tile(ARGUMENTS, 2, C); break;
    case 3: tile(ARGUMENTS, 3, C); break;
    case 4: tile(ARGUMENTS, 4, C); break;
    case 5: tile(ARGUMENTS, 5, C); break;
    case 6: tile(ARGUMENTS, 6, C); break;
    }
#undef ARGUMENTS
}

/* Rows [0, M) are cut into the fewest tiles, of nearly equal height. The end of
 * the tile that begins at m: */
PYXGLM_INLINE int64_t tile_end(int64_t m, int64_t M)
{
    const int64_t tiles = (M - m + ROWS - 1) / ROWS;
    return m + (M - m + tiles - 1) / tiles;
}

/* === What follows the sum ================================================ */

INLINE512 void finish_as(const pyxglm_linear_args *a, const float *sums, int64_t sums_stride,
                         int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t activation)
{
    for (int64_t m = m0; m < m1; m++)
        for (int64_t n = n0; n < n1; n += LANES) {
            const __mmask16 mask = first_lanes(n1 - n);
            const int64_t at = m * a->y_stride + n;
            __m512 y = _mm512_maskz_loadu_ps(mask, sums + (m - m0) * sums_stride + n - n0);
            if (a->bias)
                y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, a->bias + n));
            y = activate_f32x16(y, activation);
            if (a->residual)
                y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, a->residual + at));
            _mm512_mask_storeu_ps(a->y + at, mask, y);
        }
}

/* y = activation(sums + bias) + residual for rows [m0, m1), outputs [n0, n1). */
PYXGLM_TARGET_AVX512 static void finish(const pyxglm_linear_args *a, const float *sums,
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

/* === Few rows ============================================================ */

INLINE512 void few_rows(const pyxglm_linear_args *a, int64_t m0, int64_t m1, int64_t begin,
                        int64_t end, int dtype)
{
    const int64_t K = a->K, w_stride = K * pyxglm_itemsize(dtype);
    float sums[FEW_ROWS * STRIP];
    for (int64_t n0 = begin; n0 < end; n0 += STRIP) {
        const int64_t n1 = n0 + STRIP < end ? n0 + STRIP : end;
        int64_t n = n0;
        for (; n + COLUMNS <= n1; n += COLUMNS) {
            const char *w = (const char *)a->w + n * w_stride;
            ahead next = {w + (COLUMNS * w_stride > 4096 ? COLUMNS * w_stride : 4096),
                          COLUMNS * LANES * pyxglm_itemsize(dtype)};
            for (int64_t m = m0, stop; m < m1; m = stop, next.bytes = 0) {
                stop = tile_end(m, m1);
                tile_of(stop - m, sums + (m - m0) * STRIP + n - n0, STRIP, NULL, 1, 1,
                        a->x + m * K, K, w, w_stride, K, next, dtype, COLUMNS);
            }
        }
        for (; n < n1; n++)
            for (int64_t m = m0, stop; m < m1; m = stop) {
                const char *w = (const char *)a->w + n * w_stride;
                stop = tile_end(m, m1);
                tile_of(stop - m, sums + (m - m0) * STRIP + n - n0, STRIP, NULL, 1, 1,
                        a->x + m * K, K, w, w_stride, K, (ahead){w, 0}, dtype, 1);
            }
        finish(a, sums, STRIP, m0, m1, n0, n1);
    }
}

/* === Many rows =========================================================== */

/* Widens weight rows [n0, n1), columns [k0, k0 + width), to a panel. Rows are
 * filled up with zeros to whole vectors, the panel to whole tiles. */
INLINE512 void fill_panel(float *panel, const pyxglm_linear_args *a, int64_t n0, int64_t n1,
                          int64_t k0, int64_t width, int dtype)
{
    for (int64_t n = n0; n < n1; n++, panel += PANEL_STRIDE) {
        const char *w = (const char *)a->w + (n * a->K + k0) * pyxglm_itemsize(dtype);
        int64_t k = 0;
        for (; k + LANES <= width; k += LANES)
            _mm512_store_ps(panel + k, load_weights(w, k, dtype));
        if (k < width)
            _mm512_store_ps(panel + k,
                            load_weights_masked(w, k, dtype, first_lanes(width - k)));
    }
    for (; (n1 - n0) % COLUMNS; n1++, panel += PANEL_STRIDE)
        for (int64_t k = 0; k < width; k += LANES)
            _mm512_store_ps(panel + k, _mm512_setzero_ps());
}

/* All products of rows [m0, m1) with the panel. */
PYXGLM_TARGET_AVX512 static void multiply_panel(workspace *own, const pyxglm_linear_args *a,
                                                int64_t m0, int64_t m1, int64_t columns,
                                                int64_t k0, int64_t width, ahead next)
{
    const int first = k0 == 0, last = k0 + width == a->K;
    for (int64_t m = m0, stop; m < m1; m = stop) {
        stop = tile_end(m, m1);
        for (int64_t c = 0; c < columns; c += COLUMNS) {
            tile_of(stop - m, own->sums + (m - m0) * PANEL_ROWS + c, PANEL_ROWS,
                    own->rest + (m - m0) * PANEL_ROWS + c * (stop - m), first, last,
                    a->x + m * a->K + k0, a->K, (const char *)(own->panel + c * PANEL_STRIDE),
                    PANEL_STRIDE * sizeof(float), width, next, PYXGLM_F32, COLUMNS);
            next.at += next.bytes * (width / LANES);
        }
    }
}

INLINE512 void many_rows(const pyxglm_linear_args *a, workspace *own, int64_t begin, int64_t end,
                         int dtype)
{
    for (int64_t m0 = 0; m0 < a->M; m0 += BLOCK_M) {
        const int64_t m1 = m0 + BLOCK_M < a->M ? m0 + BLOCK_M : a->M;
        for (int64_t n0 = begin; n0 < end; n0 += PANEL_ROWS) {
            const int64_t n1 = n0 + PANEL_ROWS < end ? n0 + PANEL_ROWS : end;
            for (int64_t k0 = 0; k0 < a->K; k0 += PANEL_K) {
                const int64_t width = a->K - k0 < PANEL_K ? a->K - k0 : PANEL_K;
                const ahead next = {(const char *)a->w, 0};
                fill_panel(own->panel, a, n0, n1, k0, width, dtype);
                multiply_panel(own, a, m0, m1, n1 - n0, k0, width, next);
            }
            finish(a, own->sums, PANEL_ROWS, m0, m1, n0, n1);
        }
    }
}

/* === Entries ============================================================= */

INLINE512 void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    workspace *own = NULL;
    if (a->M > FEW_ROWS && a->K > 0)
        own = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, sizeof *own);
    if (own) {
        many_rows(a, own, begin, end, dtype);
        return;
    }
    for (int64_t m = 0; m < a->M; m += FEW_ROWS) /* also without memory: the same bits */
        few_rows(a, m, m + FEW_ROWS < a->M ? m + FEW_ROWS : a->M, begin, end, dtype);
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
