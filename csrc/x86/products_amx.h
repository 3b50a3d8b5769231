/* products_amx.h - the products of one step: 32 outputs, 32 inputs, 16 tokens or 32.
 *
 * Two blocks of 16 outputs by two of 16 tokens, four accumulators: a product takes
 * the unit 16 cycles and its sum 52, so four chains keep it busy. They take turns,
 * one product each, and then what the next one wants is loaded: 14 loads for 20
 * products, of 8 cycles of a cache port. Thus little depends on how far ahead the
 * processor looks. (The five products of one chain, then of the next, want 11 loads,
 * and take two or three times as long if products start in order, or if there are
 * fewer than 24 tiles to rename: so says a simulation of the queue.)
 *
 * 16 tokens have two chains: 26 cycles a product.
 *
 * Between the products other units have time to spare. They split the weights of a
 * later step, in quarters, and ask memory for those to come: a burst of prefetches
 * would keep the loads of tiles waiting.
 * These are counts from the manuals, not measurements. */
#ifndef PYXGLM_PRODUCTS_AMX_H
#define PYXGLM_PRODUCTS_AMX_H

#include "parts_amx.h"

#define BLOCKS 2                       /* of 16 outputs */
#define STRIP (BLOCKS * TILE_ROWS)     /* outputs of a step */
_Static_assert(STRIP == PYXGLM_LINEAR_TILE_AMX, "threads get whole strips");
#define QUARTERS 4                     /* of splitting a step's weights */
#define X_BYTES(dtype) (X_TILES(dtype) * TILE_BYTES) /* of a step's tiles of 16 tokens */
#define PANEL_BYTES(dtype) (BLOCKS * WEIGHT_TILES(dtype) * TILE_BYTES) /* and of its weights */
#define SUMS_BYTES (BLOCKS * TILE_BYTES) /* of 16 tokens */
#define INLINE_AMX PYXGLM_TARGET_AMX PYXGLM_INLINE

/* === Weights on their way ================================================= */

/* Cache lines in the order in which they will be read: `run` of them, then those
 * `stride` bytes behind the first of these, and so on. */
typedef struct ahead {
    const char *at;
    int64_t run, stride, left;
} ahead;

PYXGLM_INLINE void ask(ahead *of, int64_t lines)
{
    for (int64_t i = 0; i < lines; i++) {
        PYXGLM_PREFETCH_L2(of->at);
        of->at += 64;
        if (--of->left == 0) {
            of->at += of->stride - 64 * of->run;
            of->left = of->run;
        }
    }
}

/* A strip of weights from a step on. */
typedef struct strip {
    const char *w;
    int64_t stride, outputs, inputs; /* of what is left */
} strip;

PYXGLM_INLINE int64_t lines_of(int64_t inputs, int dtype)
{
    return (inputs * pyxglm_itemsize(dtype) + 63) / 64;
}

/* Splits a quarter of a step's weights, rows of one block, into its place in the panel. */
INLINE_AMX void split_quarter(char *panel, const strip *from, int64_t step, int quarter, int dtype)
{
    const int64_t block = quarter / 2, begin = quarter % 2 * (TILE_ROWS / 2);
    const int64_t above = min_i64(block * TILE_ROWS, from->outputs); /* rows of other blocks */
    split_rows(panel + block * WEIGHT_TILES(dtype) * TILE_BYTES,
               from->w + above * from->stride + step * STEP * pyxglm_itemsize(dtype),
               from->stride, from->outputs - above, from->inputs - step * STEP, begin,
               begin + TILE_ROWS / 2, dtype);
}

INLINE_AMX void split_step(char *panel, const strip *from, int64_t step, int dtype)
{
    for (int quarter = 0; quarter < QUARTERS; quarter++)
        split_quarter(panel, from, step, quarter, dtype);
}

/* === The products ========================================================= */

/* What is done between the products of a step. */
typedef struct meanwhile {
    ahead *ahead;
    int64_t lines; /* to ask for in each quarter */
    char *panel;   /* where to split a step of a strip; NULL: nothing to split */
    const strip *from;
    int64_t step;
} meanwhile;

/* Weights into tiles 4 and 5, a block each. */
#define WEIGHTS(at)                                                \
    do {                                                           \
        TILE_LOAD(4, (at), 64);                                    \
        TILE_LOAD(5, (at) + WEIGHT_TILES(dtype) * TILE_BYTES, 64); \
    } while (0)

/* Accumulators first and second += those weights times the x of 16 tokens. */
#define TIMES(x, first, second)        \
    do {                               \
        TILE_PRODUCT(first, 4, x);     \
        TILE_PRODUCT(second, 5, x);    \
    } while (0)

/* The i-th of a step's products, with one part of x, and what is done behind it.
 * 16 tokens leave one of the tiles 6 and 7 free: the next part goes there. */
#define PRODUCT(i, part)                                                      \
    do {                                                                      \
        const char *x_part = x + (part) * TILE_BYTES;                         \
        if (tiles == 2) {                                                    \
            TILE_LOAD(6, x_part, 64);                                         \
            TILE_LOAD(7, x_part + x_stride, 64);                              \
            TIMES(6, 0, 1);                                                   \
            TIMES(7, 2, 3);                                                   \
        } else if ((i) % 2) {                                                 \
            TILE_LOAD(7, x_part, 64);                                         \
            TIMES(7, 0, 1);                                                   \
        } else {                                                              \
            TILE_LOAD(6, x_part, 64);                                         \
            TIMES(6, 0, 1);                                                   \
        }                                                                     \
        for (int q = (i) * QUARTERS / products; q < ((i) + 1) * QUARTERS / products; q++) \
            do_quarter(also, q, dtype);                                       \
    } while (0)

enum { HI, MID, LO }; /* parts of x, in the order of their tiles */

INLINE_AMX void do_quarter(const meanwhile *also, int quarter, int dtype)
{
    ask(also->ahead, also->lines);
    if (also->panel)
        split_quarter(also->panel, also->from, also->step, quarter, dtype);
}

/* Accumulators += the products of one step: 32 outputs by 16 tokens, or by two times
 * 16 (tiles = 2), whose tiles of x lie x_stride apart. */
INLINE_AMX void multiply(const char *weights, const char *x, int64_t x_stride,
                         const meanwhile *also, int tiles, int dtype)
{
    const int products = IS_COARSE(dtype) ? 1 : dtype == PYXGLM_F16 ? 5 : 3;
    if (dtype == PYXGLM_F16) {
        WEIGHTS(weights + TILE_BYTES); /* their lower parts */
        PRODUCT(0, MID);
        PRODUCT(1, HI);
    }
    WEIGHTS(weights);
    if (!IS_COARSE(dtype)) {
        PRODUCT(products - 3, LO);
        PRODUCT(products - 2, MID);
    }
    PRODUCT(products - 1, HI);
}

INLINE_AMX void zero(void)
{
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
}

/* sums = or += the accumulators: 2 t + b has block b and the t-th 16 tokens. */
INLINE_AMX void add_to(char *sums, int is_first, int tiles)
{
    _Alignas(64) char fresh[2 * SUMS_BYTES];
    char *to = is_first ? sums : fresh;
    TILE_STORE(0, to, 64);
    TILE_STORE(1, to + TILE_BYTES, 64);
    if (tiles == 2) {
        TILE_STORE(2, to + SUMS_BYTES, 64);
        TILE_STORE(3, to + SUMS_BYTES + TILE_BYTES, 64);
    }
    for (int64_t i = 0; i < tiles * SUMS_BYTES && !is_first; i += 64)
        _mm512_store_ps(sums + i, _mm512_add_ps(_mm512_load_ps(sums + i),
                                                _mm512_load_ps(fresh + i)));
}

#endif
