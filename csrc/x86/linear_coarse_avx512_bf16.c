/* y = activation(bf16(x) bf16(w)^T + bias) + residual. Reference:
 * pyxglm/ops/coarse.py, linear. AVX-512 with BF16: pairs_avx512_bf16.h has the
 * arithmetic, this file the loops, of which no result depends.
 *
 * x is made into pairs once a call, by all threads (`packed` of the arguments).
 * Weights stored as bfloat16 are pairs as they lie; others are converted in
 * registers as they come from memory, for few rows. For many, a strip of them
 * becomes a panel that stays in L2 while all of x passes it, six rows at a time,
 * which stay in L1 meanwhile: every weight is converted once, and read once from
 * memory. The panel holds bfloat16 weights too, with rows in different cache sets.
 *
 * A tile of K = 1024 takes 768 cycles, and the trees at its end 40 in which
 * nothing is multiplied: they fill the queue of the unit and wait for each other.
 * So a tile of the panel is two of 3 x 4, and the second runs LAG steps behind the
 * first: while one's sums are finished, the other multiplies (K = 1024: 96 % of the
 * peak against 93 %). */
#include "finish_avx512.h"
#include "pairs_avx512_bf16.h"
#include "x86.h"

#define LAG 6              /* steps that the second half of a tile is behind the first */
#define BLOCK_ROWS 96      /* most rows of x that pass weights together without a panel */
#define AHEAD_BYTES 16384  /* least distance of the prefetch */
#define ALONE_BYTES 6144   /* distance where rows of w are taken one at a time */
#define PANEL_BYTES 278528 /* most that a panel may take of L2 */

/* From so many rows of x on, weights pass by way of a panel: by dtype. */
static const int64_t panel_rows[PYXGLM_BF16 + 1] = {
    [PYXGLM_F32] = 18, [PYXGLM_F16] = 12, [PYXGLM_BF16] = 24};

/* === Few rows ============================================================ */

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

/* Rows [m0, m1) of y, outputs [begin, end), of weights as they lie. */
INLINE_PAIRS void block(const pyxglm_linear_args *a, rows_of x, int64_t m0, int64_t m1,
                        int64_t begin, int64_t end, int x_dtype, int dtype)
{
    const int64_t K = a->K, M = m1 - m0;
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
            multiply(sums + n - n0, x, M, w, K, ahead, x_dtype, dtype, COLUMNS);
        }
        for (; n < n1; n++, w.at += w_stride)
            multiply(sums + n - n0, x, M, w, K, w.at + ALONE_BYTES, x_dtype, dtype, 1);
        finish(a, sums, STRIP, m0, m1, n0, n1);
    }
}

/* === Many rows =========================================================== */

/* Asks for the places in y, and the residual, of the tile at row m. */
INLINE_PAIRS void expect_rows(const pyxglm_linear_args *a, int64_t m, int64_t n0, int64_t n1)
{
    for (int64_t r = m; r < m + ROWS; r++)
        for (int64_t at = r * a->y_stride + n0; at < r * a->y_stride + n1; at += LANES) {
            PYXGLM_PREFETCH_L2(a->y + at);
            if (a->residual)
                PYXGLM_PREFETCH_L2(a->residual + at);
        }
}

/* Outputs [n0, n1) of all rows of y. In the loop over tiles, `late` is the
 * second half of a tile, which has LAG steps to go when the next tile begins. */
INLINE_PAIRS void by_panel(const pyxglm_linear_args *a, char *panel, int64_t n0, int64_t n1,
                           int dtype)
{
    const int64_t K = a->K, stride = spread_stride(K), w_stride = K * pyxglm_itemsize(dtype);
    const int64_t columns = (n1 - n0 + COLUMNS - 1) / COLUMNS * COLUMNS, M = a->M;
    const int64_t whole = M / ROWS * ROWS, vectors = (K + PAIRS - 1) / PAIRS;
    const int64_t lag = vectors / 2 < LAG ? vectors / 2 * 64 : LAG * 64;
    const int64_t rest = vectors * 64 - lag;
    const rows_of x = {a->packed, stride};
    const char *stored = (const char *)a->w + n0 * w_stride;
    const rows_of w = paired_rows(panel, (rows_of){stored, w_stride}, n1 - n0, K, stride, dtype);
    memset(panel + (n1 - n0) * stride, 0, (size_t)((columns - (n1 - n0)) * stride));

    /* The weights behind this strip are asked for, some in each tile. */
    const char *next = stored + (n1 - n0) * w_stride;
    const int64_t tiles = whole / ROWS * (columns / COLUMNS);
    const int64_t share = ((n1 - n0) * w_stride / tiles + 63) / 64 * 64;

    float sums[2][ROWS * STRIP];
    __m512 acc[HALF][COLUMNS], late[HALF][COLUMNS];
    rows_of late_x = x, late_w = w;
    float *late_sums = sums[0] + HALF * STRIP;
    clear(acc);
    clear(late);
    for (int64_t m = 0; m < whole; m += ROWS)
        for (int64_t c = 0; c < columns; c += COLUMNS) {
            const rows_of x_m = {x.at + m * stride, stride}, w_c = {w.at + c * stride, stride};
            float *out = sums[m / ROWS & 1] + c;
            if (c == 0)
                expect_rows(a, m, n0, n1);
            for (int64_t i = 0; i < share; i += 64)
                PYXGLM_PREFETCH_L2(next + i);
            next += share;
            for (int64_t at = 0; at < lag; at += 64) {
                half_step(acc, x_m, w_c, at);
                half_step(late, late_x, late_w, at + rest);
            }
            take_sums(late_sums, late);
            if (c == 0 && m > 0)
                finish(a, sums[(m / ROWS - 1) & 1], STRIP, m - ROWS, m, n0, n1);
            late_x = (rows_of){x_m.at + HALF * stride, stride};
            late_w = w_c;
            late_sums = out + HALF * STRIP;
            for (int64_t at = 0; at < rest; at += 64) {
                half_step(acc, x_m, w_c, at + lag);
                half_step(late, late_x, late_w, at);
            }
            take_sums(out, acc);
        }
    for (int64_t at = rest; at < rest + lag; at += 64)
        half_step(late, late_x, late_w, at);
    take_sums(late_sums, late);
    finish(a, sums[(whole / ROWS - 1) & 1], STRIP, whole - ROWS, whole, n0, n1);

    if (whole < M) {
        for (int64_t c = 0; c < columns; c += COLUMNS)
            multiply(sums[0] + c, (rows_of){x.at + whole * stride, stride}, M - whole,
                     (rows_of){w.at + c * stride, stride}, K, NULL, PYXGLM_BF16, PYXGLM_BF16,
                     COLUMNS);
        finish(a, sums[0], STRIP, whole, M, n0, n1);
    }
}

/* === Entry =============================================================== */

INLINE_PAIRS void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t stride = spread_stride(a->K);
    pyxglm_linear_args own = *a; /* if the caller has not made pairs of x */
    if (!a->packed && a->M >= panel_rows[dtype]) {
        char *packed = pyxglm_scratch(PYXGLM_SCRATCH_PACKED,
                                      (size_t)pyxglm_linear_pairs_pack_bytes(a));
        const rows_of rounded = {(const char *)a->rounded, a->K * (int64_t)sizeof *a->rounded};
        if (packed)
            own.packed = paired_rows(packed, rounded, a->M, a->K, stride, PYXGLM_F32).at;
        a = &own;
    }
    int64_t strip = PANEL_BYTES / stride / LANES * LANES;
    strip = strip > STRIP ? STRIP : strip < LANES ? LANES : strip;
    char *panel = NULL; /* without memory for it: slower, the same bits */
    if (a->packed && a->M >= panel_rows[dtype])
        panel = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, (size_t)(strip * stride));
    if (panel) {
        for (int64_t n = begin; n < end; n += strip)
            by_panel(a, panel, n, n + strip < end ? n + strip : end, dtype);
        return;
    }
    for (int64_t m = 0; m < a->M; m += BLOCK_ROWS) {
        const int64_t m1 = m + BLOCK_ROWS < a->M ? m + BLOCK_ROWS : a->M;
        if (a->packed)
            block(a, (rows_of){(const char *)a->packed + m * stride, stride}, m, m1, begin, end,
                  PYXGLM_BF16, dtype);
        else
            block(a, (rows_of){(const char *)(a->rounded + m * a->K), a->K * 4}, m, m1, begin,
                  end, PYXGLM_F32, dtype);
    }
}

int64_t pyxglm_linear_pairs_pack_bytes(const pyxglm_linear_args *a)
{
    return a->M * spread_stride(a->K);
}

TARGET void pyxglm_linear_pairs_pack(void *packed, const pyxglm_linear_args *a, int64_t begin,
                                     int64_t end)
{
    const int64_t stride = spread_stride(a->K);
    const rows_of x = {(const char *)(a->x + begin * a->K), a->K * (int64_t)sizeof *a->x};
    /* Rounded as `rounded` is: the instruction would make 0 of what rounds to 2^-126. */
    paired_rows((char *)packed + begin * stride, x, end - begin, a->K, stride,
                PYXGLM_F32 | PYXGLM_ROUNDED);
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
