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
 *   - after CHUNK inputs the accumulator is added to the sum, and starts from 0.
 * A term meets 16 roundings inside a product, 5 for each of at most 4 steps of
 * a chunk, and one a chunk: for K = 1024 that is 44 (16 lanes of FMA: 68).
 * Larger chunks would need fewer additions outside of the tiles, and round more.
 *
 * Four accumulators, from four times 16 outputs and the same 16 tokens: a
 * product takes the unit 16 cycles and its sum 52, so four chains keep it busy.
 * A step of four takes 3 loads of x and 2 a chain, 11 for 20 products; a load
 * takes 8 cycles of a cache port. It fills the eight tiles: 4 sums, 3 parts of
 * x, and one that the weights' parts pass through.
 *
 * Many tokens: 64 outputs by CHUNK inputs are split once into a panel in L1
 * (32 KiB), and up to 256 tokens pass by it, whose tiles (196 KiB a chunk) and
 * sums (256 KiB) stay in L2.
 *
 * Few tokens: memory is the limit, 1 KiB of fp16 weights a tile. Splitting it
 * takes 16 x 7 cycles of two ports, its five products 80 of another unit, so
 * they must overlap: the next tile is split before the products of the last
 * are issued, some 300 instructions that the processor has in view at once
 * (and bytes just stored cannot be loaded at once into a tile). That is 9 bytes
 * a cycle, twice what memory brings. The prefetch runs a strip ahead in the
 * order in which the rows lie. Strips are only 32 outputs high here: the first
 * of a range comes without a prefetch.
 * These are counts from the manuals, not measurements.
 *
 * The coarse product is one of the five, w_hi x_hi, of numbers that are rounded
 * to start with: the same loops, with tiles of one part. */
#include "finish_avx512.h"
#include "parts_amx.h"
#include "x86.h"

#define CHUNK 128                         /* inputs an accumulator takes: arithmetic */
#define STEPS (CHUNK / STEP)              /* of a chunk */
#define BLOCKS 4                          /* of 16 outputs, and accumulators */
#define STRIP (BLOCKS * TILE_ROWS)        /* outputs that share a panel */
#define FEW_STRIP (2 * TILE_ROWS)         /* the same for few tokens */
#define SLAB 256                          /* tokens that share a panel */
#define GROUP 256                         /* outputs whose sums are kept */
#define X_BYTES(dtype) (X_TILES(dtype) * TILE_BYTES) /* of a step's tiles of x */
#define SUMS_BYTES (BLOCKS * TILE_BYTES)  /* of a strip's sums for 16 tokens */
#define TARGET PYXGLM_TARGET_AMX
#define INLINE_AMX TARGET PYXGLM_INLINE

/* A strip of weights, from a chunk's first input on. */
typedef struct strip {
    const char *w;
    int64_t stride, outputs, inputs; /* of what is left: inputs may exceed a chunk */
    const char *ahead; /* what to ask memory for while it is split; NULL: nothing */
} strip;

PYXGLM_INLINE int64_t blocks_of(int64_t outputs)
{
    return outputs >= STRIP ? BLOCKS : (outputs + TILE_ROWS - 1) / TILE_ROWS;
}

/* === The products ========================================================= */

/* Where a panel has the tiles of a step and 16 outputs. */
PYXGLM_INLINE char *panel_at(char *panel, int64_t step, int64_t block, int dtype)
{
    return panel + (step * BLOCKS + block) * WEIGHT_TILES(dtype) * TILE_BYTES;
}

/* Splits one tile of a strip into the panel, and asks for as many bytes ahead. */
INLINE_AMX void split_into(char *panel, strip *from, int64_t step, int64_t block, int dtype)
{
    if (from->ahead) {
#pragma GCC unroll 16
        for (int i = 0; i < TILE_ROWS; i++)
            PYXGLM_PREFETCH_L2(from->ahead + 64 * i);
        from->ahead += TILE_BYTES;
    }
    split_tile(panel_at(panel, step, block, dtype),
               from->w + block * TILE_ROWS * from->stride + step * STEP * pyxglm_itemsize(dtype),
               from->stride,
               from->outputs - block * TILE_ROWS, from->inputs - step * STEP, dtype);
}

/* The products of one step for accumulator `sum`; x is in tiles 5, 6 and 7, or
 * in tile 5 alone. */
#define PRODUCTS(sum, tile)                           \
    do {                                              \
        const char *at = (tile);                      \
        if (dtype == PYXGLM_F16) {                    \
            TILE_LOAD(4, at + TILE_BYTES, 64);        \
            TILE_PRODUCT(sum, 4, 6); /* lo x mid */   \
            TILE_PRODUCT(sum, 4, 5); /* lo x hi */    \
        }                                             \
        TILE_LOAD(4, at, 64);                         \
        if (!IS_COARSE(dtype)) {                      \
            TILE_PRODUCT(sum, 4, 7); /* hi x lo */    \
            TILE_PRODUCT(sum, 4, 6); /* hi x mid */   \
        }                                             \
        TILE_PRODUCT(sum, 4, 5); /* hi x hi */        \
    } while (0)

/* Block `i` of a step, after the tile behind it has been split. */
#define BLOCK(i)                                                             \
    do {                                                                     \
        if (fused && i + 1 < blocks)                                         \
            split_into(panel, from, step, i + 1, dtype);                     \
        else if (fused && step + 1 < steps)                                  \
            split_into(panel, from, step + 1, 0, dtype);                     \
        PRODUCTS(i, panel_at(panel, step, i, dtype));                        \
    } while (0)

/* sums = or += the products of a chunk: `blocks` times 16 outputs, 16 tokens.
 * `fused` splits the weights of `from` into the panel on the way. */
INLINE_AMX void multiply(char *sums, char *panel, strip *from, const char *x_tiles, int64_t steps,
                         int64_t blocks, int is_first, int dtype, int fused)
{
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    if (fused && steps)
        split_into(panel, from, 0, 0, dtype);
    for (int64_t step = 0; step < steps; step++) {
        const char *x_step = x_tiles + step * X_BYTES(dtype);
        TILE_LOAD(5, x_step, 64);
        if (!IS_COARSE(dtype)) {
            TILE_LOAD(6, x_step + TILE_BYTES, 64);
            TILE_LOAD(7, x_step + 2 * TILE_BYTES, 64);
        }
        BLOCK(0);
        if (blocks > 1)
            BLOCK(1);
        if (blocks > 2)
            BLOCK(2);
        if (blocks > 3)
            BLOCK(3);
    }
    _Alignas(64) char fresh[SUMS_BYTES];
    char *to = is_first ? sums : fresh;
    TILE_STORE(0, to, 64);
    TILE_STORE(1, to + TILE_BYTES, 64);
    TILE_STORE(2, to + 2 * TILE_BYTES, 64);
    TILE_STORE(3, to + 3 * TILE_BYTES, 64);
    for (int64_t i = 0; i < blocks * TILE_BYTES && !is_first; i += 64)
        _mm512_store_ps(sums + i, _mm512_add_ps(_mm512_load_ps(sums + i),
                                                _mm512_load_ps(fresh + i)));
}

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
    for (int64_t block = 0; block < blocks_of(n1 - n0); block++)
        transpose_16x16(rows[0] + block * TILE_ROW_BYTES, sizeof *rows, sums + block * TILE_BYTES);
    finish(of->a, (const void *)rows, STRIP, m, min_i64(m + TOKENS, of->m1), n0, n1);
}

/* Outputs [begin, end) of a slab, in strips, whose sums all have room. */
INLINE_AMX void group(const slab *of, int64_t begin, int64_t end, int64_t height, int dtype)
{
    const pyxglm_linear_args *a = of->a;
    const int64_t all_steps = steps_of(a->K), stride = a->K * pyxglm_itemsize(dtype);
    const int few = of->tiles == 1;
    _Alignas(64) char x_chunk[STEPS * X_BYTES(dtype)];
    for (int64_t s = 0; s == 0 || s < all_steps; s += STEPS) { /* once for K = 0 */
        const int64_t steps = min_i64(STEPS, all_steps - s);
        if (!of->x_tiles)
            pack(x_chunk, a, of->m0, s, s + steps, dtype);
        char *sums = of->sums;
        for (int64_t n = begin; n < end; n += height, sums += of->tiles * SUMS_BYTES) {
            strip from = {(const char *)a->w + n * stride + s * STEP * pyxglm_itemsize(dtype),
                          stride, min_i64(height, end - n), a->K - s * STEP, NULL};
            const int64_t blocks = blocks_of(from.outputs);
            if (few) {
                from.ahead = (const char *)a->w + (n + height) * stride +
                             s * blocks * TILE_BYTES * pyxglm_itemsize(dtype) / 2;
                multiply(sums, of->panel, &from,
                         of->x_tiles ? of->x_tiles + s * X_BYTES(dtype) : x_chunk, steps, blocks, s == 0,
                         dtype, 1);
                continue;
            }
            for (int64_t step = 0; step < steps; step++)
                for (int64_t block = 0; block < blocks; block++)
                    split_into(of->panel, &from, step, block, dtype);
            for (int64_t t = 0; t < of->tiles; t++)
                multiply(sums + t * SUMS_BYTES, of->panel, &from,
                         of->x_tiles + (t * all_steps + s) * X_BYTES(dtype), steps, blocks, s == 0, dtype,
                         0);
        }
    }
    const char *sums = of->sums;
    for (int64_t n = begin; n < end; n += height)
        for (int64_t t = 0; t < of->tiles; t++, sums += SUMS_BYTES)
            finish_strip(of, sums, of->m0 + t * TOKENS, n, min_i64(n + height, end));
}

INLINE_AMX void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    if (begin >= end || a->M <= 0)
        return;
    _Alignas(64) char panel[STEPS * BLOCKS * 2 * TILE_BYTES], own_sums[SUMS_BYTES];
    const int64_t tile_bytes = steps_of(a->K) * X_BYTES(dtype); /* of 16 tokens */
    const int64_t most_tiles = (min_i64(a->M, SLAB) + TOKENS - 1) / TOKENS;
    const int64_t sums_bytes = GROUP / STRIP * most_tiles * SUMS_BYTES;
    const int64_t x_bytes = a->packed ? 0 : most_tiles * tile_bytes;
    char *memory = NULL; /* without: 16 tokens at a time, the same bits */
    if (most_tiles > 1 || x_bytes)
        memory = pyxglm_scratch(PYXGLM_SCRATCH_KERNEL, (size_t)(sums_bytes + x_bytes));
    const int64_t tokens = memory && most_tiles > 1 ? SLAB : TOKENS;

    tiles_begin();
    for (int64_t m = 0; m < a->M; m += tokens) {
        slab of = {.a = a, .m0 = m, .m1 = min_i64(m + tokens, a->M), .panel = panel};
        of.tiles = (of.m1 - m + TOKENS - 1) / TOKENS;
        of.sums = of.tiles > 1 ? memory : own_sums;
        if (a->packed) {
            of.x_tiles = (const char *)a->packed + m / TOKENS * tile_bytes;
        } else if (memory) {
            for (int64_t t = 0; t < of.tiles; t++)
                pack(memory + sums_bytes + t * tile_bytes, a, m + t * TOKENS, 0, steps_of(a->K),
                     dtype);
            of.x_tiles = memory + sums_bytes;
        }
        const int64_t height = of.tiles > 1 ? STRIP : FEW_STRIP;
        const int64_t outputs = of.tiles > 1 ? GROUP : FEW_STRIP;
        for (int64_t n = begin; n < end; n += outputs)
            group(&of, n, min_i64(n + outputs, end), height, dtype);
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
