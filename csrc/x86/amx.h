/* amx.h - tiles: eight registers of 16 rows of 64 bytes, and their product.
 *
 *     tiles_begin()                 all eight become 16 rows of 64 bytes
 *     TILE_ZERO(t)                  t = 0
 *     TILE_LOAD(t, p, stride)       row r of t from p + r * stride
 *     TILE_STORE(t, p, stride)      and back
 *     TILE_PRODUCT(c, a, b)         c += a b, see below
 *     tiles_end()                   nothing is left in them
 *
 * A tile is named by a literal number: the instructions have it built in.
 *
 * The product is TDPBF16PS. a holds 16 rows of 32 bfloat16; b holds 16 rows of
 * 16 pairs of them; c holds 16 x 16 floats. Row i of b has inputs 2i and 2i + 1
 * of its 16 columns side by side, so that one 32-bit lane multiplies two inputs:
 *
 *     even[n] = sum_i a[m][2i]     b[i][n].first      one chain of 16 fma
 *     odd[n]  = sum_i a[m][2i + 1] b[i][n].second     another
 *     c[m][n] = c[m][n] + (even[n] + odd[n])
 *
 * all rounded to nearest even. Every step takes subnormal numbers for 0 and
 * makes them 0, and MXCSR has no say in it. A product of two bfloat16 has 16
 * significant bits and is exact, so "fma" says only that it may be very small
 * or very large on its way into the sum. (Intel's manual, volume 2, TDPBF16PS.
 * The intrinsics guide draws one chain through c instead. Nothing but the size
 * of the rounding error depends on which it is.)
 *
 * What the tiles look like is state of the thread, saved by the operating
 * system at each switch: begin and end stand around every kernel.
 *
 * Why no intrinsics. gcc 12 declares 8 of the 64 bytes that LDTILECFG reads,
 * and no memory at all for the loads and stores of tiles; so the optimiser may
 * drop the stores that fill a configuration, and move those that fill a tile
 * behind its load. Here the operand has its size, and the rest says "memory".
 *
 * With PYXGLM_EMULATE_AMX the same names work on a tile file in memory, in
 * plain C, as Intel defines them: so that kernels on tiles can be checked, by
 * sanitizers too, on a CPU that has none. */
#ifndef PYXGLM_AMX_H
#define PYXGLM_AMX_H

#include "../internal.h"

#define TILE_COUNT 8
#define TILE_ROWS 16
#define TILE_ROW_BYTES 64
#define TILE_BYTES (TILE_ROWS * TILE_ROW_BYTES)

#ifndef PYXGLM_EMULATE_AMX

/* What LDTILECFG reads. Palette 1 means eight tiles of at most 1 KiB, by
 * definition: CPUID leaf 0x1d would say the same, where it says anything (some
 * hypervisors return zeros). */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;
_Static_assert(sizeof(tile_config) == 64, "LDTILECFG reads 64 bytes");

PYXGLM_INLINE void tiles_begin(void)
{
    tile_config config = {.palette = 1};
    for (int t = 0; t < TILE_COUNT; t++) {
        config.row_bytes[t] = TILE_ROW_BYTES;
        config.rows[t] = TILE_ROWS;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

PYXGLM_INLINE void tiles_end(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : : : "memory")
#define TILE_LOAD(t, p, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((int64_t)(stride)) : "memory")
#define TILE_STORE(t, p, stride) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((int64_t)(stride)) : "memory")
#define TILE_PRODUCT(c, a, b) \
    __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : : "memory")

#else

#include <math.h>
#include <stdlib.h>

/* The tile file of a thread. Unconfigured tiles fault, as they do in silicon. */
static _Thread_local struct tile_file {
    int configured;
    unsigned char tile[TILE_COUNT][TILE_ROWS][TILE_ROW_BYTES];
} tiles;

static void tiles_begin(void)
{
    memset(&tiles, 0, sizeof tiles);
    tiles.configured = 1;
}

static void tiles_end(void)
{
    tiles.configured = 0;
}

PYXGLM_UNUSED static void tile_zero(int t)
{
    if (!tiles.configured)
        abort();
    memset(tiles.tile[t], 0, TILE_BYTES);
}

static void tile_load(int t, const void *p, int64_t stride)
{
    if (!tiles.configured)
        abort();
    for (int r = 0; r < TILE_ROWS; r++)
        memcpy(tiles.tile[t][r], (const char *)p + r * stride, TILE_ROW_BYTES);
}

static void tile_store(int t, void *p, int64_t stride)
{
    if (!tiles.configured)
        abort();
    for (int r = 0; r < TILE_ROWS; r++)
        memcpy((char *)p + r * stride, tiles.tile[t][r], TILE_ROW_BYTES);
}

/* Subnormal numbers are zeros of their sign. */
PYXGLM_INLINE float flushed(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

/* The target is for the instruction behind fmaf(), which is slow without. */
PYXGLM_TARGET_AVX512 static void tile_product(int c, int a, int b)
{
    if (!tiles.configured)
        abort();
    for (int m = 0; m < TILE_ROWS; m++) {
        float even[16] = {0}, odd[16] = {0}, sum[16];
        for (int i = 0; i < TILE_ROWS; i++) {
            uint16_t left[2], right[32];
            memcpy(left, tiles.tile[a][m] + 4 * i, sizeof left);
            memcpy(right, tiles.tile[b][i], sizeof right);
            const float first = flushed(pyxglm_widen_bf16(left[0]));
            const float second = flushed(pyxglm_widen_bf16(left[1]));
            for (int n = 0; n < 16; n++) {
                even[n] = flushed(fmaf(first, flushed(pyxglm_widen_bf16(right[2 * n])), even[n]));
                odd[n] =
                    flushed(fmaf(second, flushed(pyxglm_widen_bf16(right[2 * n + 1])), odd[n]));
            }
        }
        memcpy(sum, tiles.tile[c][m], sizeof sum);
        for (int n = 0; n < 16; n++)
            sum[n] = flushed(flushed(sum[n]) + flushed(even[n] + odd[n]));
        memcpy(tiles.tile[c][m], sum, sizeof sum);
    }
}

#define TILE_ZERO(t) tile_zero(t)
#define TILE_LOAD(t, p, stride) tile_load(t, p, stride)
#define TILE_STORE(t, p, stride) tile_store(t, p, stride)
#define TILE_PRODUCT(c, a, b) tile_product(c, a, b)

#endif
#endif
