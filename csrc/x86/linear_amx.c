/* y = activation(x w^T + bias) + residual. Reference: pyxglm/ops/reference.py, linear.
 *
 * bfloat16 tiles with the accuracy of float32. Weights and activations are sums
 * of bfloat16 parts (parts_amx.h), and so is their product:
 *
 *   w x = w_lo x_mid + w_lo x_hi + w_hi x_lo + w_hi x_mid + w_hi x_hi
 *
 * where w_lo x_lo is left out: it is at most 2^-8 2^-16 = 2^-24 of w x, half a
 * unit in the last place of a float32. The next smaller ones, w_lo x_mid and
 * w_hi x_lo, are up to 256 times that and must stay. So fp16 weights take five
 * products, and bf16 weights, which have no lower part, three. float32 weights
 * would take six to nine: FMA serves them.
 *
 * The weights are the left operand: their tiles are 16 rows as they lie. The
 * tokens are columns of the right operand, and columns do not touch each other:
 * one token gets the bits that it gets among hundreds, by construction.
 *
 * Order of an output's sum, from K alone:
 *   - 32 inputs at a time, the products above from left to right, each added to
 *     the accumulator by one TDPBF16PS: what is small goes first;
 *   - after a chunk, 128 inputs, the accumulator is added to the sum, and starts
 *     from 0.
 * A term meets 16 roundings inside a product, 5 for each of at most 4 steps of
 * a chunk, and one a chunk: for K = 1024 that is 44 (16 lanes of FMA: 68).
 * Larger chunks would need fewer additions outside of the tiles, and round more.
 *
 * More than 32 tokens: 32 outputs by a chunk are split once into a panel in
 * L1 (16 KiB), and up to 256 tokens pass by it, whose tiles (192 KiB a chunk) and
 * sums (256 KiB) stay in L2. Meanwhile memory is asked for what the next panel
 * will be made of.
 *
 * Few tokens: memory is the limit, 2 KiB of fp16 weights a step. Splitting them
 * takes 32 x 7 cycles of two ports, the products 10 x 26 (20 x 16 from 17 tokens
 * on) of another unit; so the step after the next is split between the products.
 * (Bytes just stored cannot be loaded at once into a tile.) That is 6 to 8 bytes a
 * cycle, more than memory brings. The prefetch runs a strip ahead in the order in
 * which the rows lie; the first strip of a range comes without.
 * These are counts from the manuals, not measurements.
 *
 * The coarse product is one of the five, w_hi x_hi, of numbers that are rounded
 * to start with: the same loops, with tiles of one part, and chunks of 256 inputs,
 * since sums and x would want more of L2 than it gives in so little time. */
#include "finish_avx512.h"
#include "products_amx.h"
#include "x86.h"

/* Inputs that an accumulator takes: arithmetic. Steps of these, and of a panel. */
#define CHUNK(dtype) (IS_COARSE(dtype) ? 256 : 128)
#define STEPS(dtype) (CHUNK(dtype) / STEP)
#define PANEL_MOST 16384 /* bytes of a panel */
#define SLAB 256         /* tokens that share a panel */
#define GROUP 256        /* outputs whose sums are kept */
#define LAG 2            /* steps from splitting to multiplying: fewer than a panel has */
#define TARGET PYXGLM_TARGET_AMX

/* === Loops ================================================================ */

/* A slab of tokens [m0, m1) and all the memory that it needs. */
typedef struct slab {
    const pyxglm_linear_args *a;
    int64_t m0, m1, tiles; /* tiles: times 16 tokens */
    const char *x_tiles;   /* by 16 tokens, then steps; NULL: to be made a chunk at a time */
    char *sums;            /* by strips, then 16 tokens */
    char *panel;
} slab;

PYXGLM_INLINE int64_t steps_of(int64_t K)
{
    return (K + STEP - 1) / STEP;
}

/* Weights from output n and a step on. */
PYXGLM_INLINE const char *weights_at(const pyxglm_linear_args *a, int64_t n, int64_t step,
                                     int dtype)
{
    return (const char *)a->w + (n * a->K + step * STEP) * pyxglm_itemsize(dtype);
}

PYXGLM_INLINE strip strip_at(const pyxglm_linear_args *a, int64_t n, int64_t end, int64_t step,
                             int dtype)
{
    return (strip){weights_at(a, n, step, dtype), a->K * pyxglm_itemsize(dtype), end - n,
                   a->K - step * STEP};
}

/* Tiles of x for tokens [m, m + 16) and steps [begin, end). */
INLINE_AMX void pack(char *to, const pyxglm_linear_args *a, int64_t m, int64_t begin, int64_t end,
                     int dtype)
{
    for (int64_t step = begin; step < end; step++)
        split_x(to + (step - begin) * X_BYTES(dtype), a->x + m * a->K + step * STEP, a->K,
                min_i64(TOKENS, a->M - m), a->K - step * STEP, dtype);
}

/* y from the sums of outputs [n0, n1), a strip, and 16 tokens from m on. */
TARGET static void finish_strip(const slab *of, const char *sums, int64_t m, int64_t n0, int64_t n1)
{
    _Alignas(64) char rows[TOKENS][STRIP * sizeof(float)];
    for (int64_t block = 0; block < BLOCKS; block++)
        transpose_16x16(rows[0] + block * TILE_ROW_BYTES, sizeof *rows, sums + block * TILE_BYTES);
    finish(of->a, (const void *)rows, STRIP, m, min_i64(m + TOKENS, of->m1), n0, n1);
}

/* Few tokens, 16 or 32: outputs [n0, n1), a strip, whose weights are split on the
 * way. The panel is a ring of steps. */
INLINE_AMX void stream(const slab *of, int64_t n0, int64_t n1, int tiles, int dtype)
{
    const pyxglm_linear_args *a = of->a;
    const int64_t steps = steps_of(a->K), ring = STEPS(dtype);
    const strip from = strip_at(a, n0, n1, 0, dtype);
    ahead next = {weights_at(a, n0 + STRIP, 0, dtype), INT64_MAX, 0, INT64_MAX};
    meanwhile also = {&next, STRIP * lines_of(STEP, dtype) / QUARTERS, NULL, &from, 0};
    _Alignas(64) char x_chunk[STEPS(dtype) * X_BYTES(dtype)];
    for (int64_t s = 0; s < min_i64(LAG, steps); s++)
        split_step(of->panel + s * PANEL_BYTES(dtype), &from, s, dtype);
    zero();
    for (int64_t s = 0; s < steps; s++) {
        const int64_t at = s % ring;
        if (!of->x_tiles && at == 0)
            pack(x_chunk, a, of->m0, s, min_i64(s + ring, steps), dtype);
        also.step = s + LAG;
        also.panel = also.step < steps ? of->panel + also.step % ring * PANEL_BYTES(dtype) : NULL;
        multiply(of->panel + at * PANEL_BYTES(dtype),
                 of->x_tiles ? of->x_tiles + s * X_BYTES(dtype) : x_chunk + at * X_BYTES(dtype),
                 steps * X_BYTES(dtype), &also, tiles, dtype);
        if (at + 1 == ring && s + 1 < steps) { /* the end of a chunk, not the last */
            add_to(of->sums, s < ring, tiles);
            zero();
        }
    }
    add_to(of->sums, steps <= ring, tiles);
    for (int64_t t = 0; t < tiles; t++)
        finish_strip(of, of->sums + t * SUMS_BYTES, of->m0 + t * TOKENS, n0, n1);
}

/* sums = or += the products of a panel and 16 tokens or 32. */
INLINE_AMX void chunk(char *sums, const slab *of, const char *x, int64_t steps, int is_first,
                      const meanwhile *also, int tiles, int dtype)
{
    zero();
    for (int64_t s = 0; s < steps; s++)
        multiply(of->panel + s * PANEL_BYTES(dtype), x + s * X_BYTES(dtype),
                 steps_of(of->a->K) * X_BYTES(dtype), also, tiles, dtype);
    add_to(sums, is_first, tiles);
}

/* The weights of the panel that `group` needs after that of output n and step s. */
PYXGLM_INLINE const char *next_panel(const pyxglm_linear_args *a, int64_t begin, int64_t end,
                                     int64_t n, int64_t s, int dtype)
{
    if (n + STRIP < end)
        return weights_at(a, n + STRIP, s, dtype);
    if (s + STEPS(dtype) < steps_of(a->K))
        return weights_at(a, begin, s + STEPS(dtype), dtype);
    return weights_at(a, end, 0, dtype);
}

/* Many tokens: outputs [begin, end) in strips, whose sums all have room. */
INLINE_AMX void group(const slab *of, int64_t begin, int64_t end, int dtype)
{
    const pyxglm_linear_args *a = of->a;
    const int64_t all_steps = steps_of(a->K), pairs = (of->tiles + 1) / 2;
    const int64_t run = lines_of(CHUNK(dtype), dtype), quarters = pairs * STEPS(dtype) * QUARTERS;
    const int64_t lines = (STRIP * run + quarters - 1) / quarters; /* to ask for in each */
    for (int64_t s = 0; s == 0 || s < all_steps; s += STEPS(dtype)) { /* once for K = 0 */
        const int64_t steps = min_i64(STEPS(dtype), all_steps - s);
        char *sums = of->sums;
        for (int64_t n = begin; n < end; n += STRIP) {
            const strip from = strip_at(a, n, end, s, dtype);
            for (int64_t step = 0; step < steps; step++)
                split_step(of->panel + step * PANEL_BYTES(dtype), &from, step, dtype);
            ahead next = {next_panel(a, begin, end, n, s, dtype), run, from.stride, run};
            const meanwhile also = {&next, lines, NULL, NULL, 0};
            for (int64_t t = 0; t < of->tiles; t += 2, sums += 2 * SUMS_BYTES) {
                const char *x = of->x_tiles + (t * all_steps + s) * X_BYTES(dtype);
                if (t + 1 < of->tiles)
                    chunk(sums, of, x, steps, s == 0, &also, 2, dtype);
                else
                    chunk(sums, of, x, steps, s == 0, &also, 1, dtype);
            }
        }
    }
    const char *sums = of->sums;
    for (int64_t n = begin; n < end; n += STRIP, sums += pairs * 2 * SUMS_BYTES)
        for (int64_t t = 0; t < of->tiles; t++)
            finish_strip(of, sums + t * SUMS_BYTES, of->m0 + t * TOKENS, n,
                         min_i64(n + STRIP, end));
}

INLINE_AMX void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    if (begin >= end || a->M <= 0)
        return;
    _Alignas(64) char panel[PANEL_MOST], own_sums[2 * SUMS_BYTES];
    const int64_t tile_bytes = steps_of(a->K) * X_BYTES(dtype); /* of 16 tokens */
    const int64_t most_tiles = (min_i64(a->M, SLAB) + TOKENS - 1) / TOKENS;
    const int64_t sums_bytes = most_tiles > 2 ? GROUP / STRIP * (most_tiles + 1) * SUMS_BYTES : 0;
    const int64_t x_bytes = a->packed ? 0 : most_tiles * tile_bytes;
    char *memory = NULL; /* without: 16 tokens at a time, or 32, the same bits */
    if (sums_bytes + x_bytes)
        memory = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, (size_t)(sums_bytes + x_bytes));
    const int64_t tokens = memory ? SLAB : a->packed ? 2 * TOKENS : TOKENS;

    tiles_begin();
    for (int64_t m = 0; m < a->M; m += tokens) {
        slab of = {.a = a, .m0 = m, .m1 = min_i64(m + tokens, a->M), .panel = panel};
        of.tiles = (of.m1 - m + TOKENS - 1) / TOKENS;
        of.sums = of.tiles > 2 ? memory : own_sums;
        if (a->packed) {
            of.x_tiles = (const char *)a->packed + m / TOKENS * tile_bytes;
        } else if (memory) {
            for (int64_t t = 0; t < of.tiles; t++)
                pack(memory + sums_bytes + t * tile_bytes, a, m + t * TOKENS, 0, steps_of(a->K),
                     dtype);
            of.x_tiles = memory + sums_bytes;
        }
        const int64_t height = of.tiles > 2 ? GROUP : STRIP;
        for (int64_t n = begin; n < end; n += height)
            if (of.tiles > 2)
                group(&of, n, min_i64(n + height, end), dtype);
            else if (of.tiles == 2)
                stream(&of, n, min_i64(n + height, end), 2, dtype);
            else
                stream(&of, n, min_i64(n + height, end), 1, dtype);
    }
    tiles_end();
}

TARGET void pyxglm_linear_f16_amx(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_F16);
}

TARGET void pyxglm_linear_bf16_amx(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_BF16);
}

/* bf16(x) bf16(w)^T. */
INLINE_AMX void linear_coarse(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    const pyxglm_linear_args of_rounded = pyxglm_of_rounded(a);
    linear(&of_rounded, begin, end, dtype | PYXGLM_ROUNDED);
}

TARGET void pyxglm_linear_coarse_f32_amx(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F32);
}

TARGET void pyxglm_linear_coarse_f16_amx(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F16);
}

TARGET void pyxglm_linear_coarse_bf16_amx(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_BF16);
}

/* === Tiles of x, once for all threads ===================================== */

int64_t pyxglm_linear_amx_pack_bytes(const pyxglm_linear_args *a, int dtype)
{
    return (a->M + TOKENS - 1) / TOKENS * steps_of(a->K) * X_BYTES(dtype);
}

INLINE_AMX void pack_as(char *packed, const pyxglm_linear_args *a, int64_t begin, int64_t end,
                        int dtype)
{
    const int64_t steps = steps_of(a->K);
    for (int64_t t = begin; t < end; t++)
        pack(packed + t * steps * X_BYTES(dtype), a, t * TOKENS, 0, steps, dtype);
}

TARGET void pyxglm_linear_amx_pack(void *packed, const pyxglm_linear_args *a, int dtype,
                                   int64_t begin, int64_t end)
{
    const pyxglm_linear_args of_rounded = pyxglm_of_rounded(a);
    if (dtype == PYXGLM_F16)
        pack_as(packed, a, begin, end, PYXGLM_F16);
    else if (dtype == PYXGLM_BF16)
        pack_as(packed, a, begin, end, PYXGLM_BF16);
    else if (IS_BF16(dtype))
        pack_as(packed, &of_rounded, begin, end, PYXGLM_BF16 | PYXGLM_ROUNDED);
    else /* the same pairs for both dtypes that are rounded */
        pack_as(packed, &of_rounded, begin, end, PYXGLM_F16 | PYXGLM_ROUNDED);
}
