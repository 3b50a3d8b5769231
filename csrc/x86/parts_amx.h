/* parts_amx.h - floats as sums of bfloat16, laid out as tiles. AVX-512 F, BW.
 *
 * bfloat16 keeps 8 of a float's 24 significant bits, and all of its exponent.
 *
 *   fp16 weight   w = w_hi + w_lo            11 bits: exactly
 *   bf16 weight   w                          as stored
 *   activation    x = x_hi + x_mid + x_lo    24 bits: exactly
 *
 * Each part is the upper half of what is left, rounded to nearest, and the
 * subtraction that leaves the rest is exact: |w_lo| <= 2^-8 |w|,
 * |x_mid| <= 2^-8 |x|, |x_lo| <= 2^-16 |x|. Of a fp16 weight at most 3 bits are
 * left, of an activation at most 16, then 8: the last part needs no rounding.
 * Halves are rounded away from zero, which is one addition; as the rest has a
 * sign, either way is as good.
 *
 *   Rounding up must not reach infinity: from 2^127 on it is left out. Then the
 *   rest has 16 bits, 8 of them in x_mid, so x_lo is still exact.
 *   Infinity: hi is infinite and the rest NaN. NaN: the last part is NaN. So
 *   what is not finite makes every sum that it enters not finite.
 *   Subnormal parts count as 0 in the product: of x at most 2^-126 is lost. A
 *   fp16 weight is a multiple of 2^-24, so its parts never are.
 *
 * In pairs (amx.h), an activation's tile has tokens for columns:
 * lane (i, m) holds two inputs of token m. Which two is free as long as weights
 * agree: for fp16 inputs i and i + 16 of a step of 32, so that both halves of a
 * row are shifted and merged without a permutation. Stored bf16 weights lie as
 * neighbours, and activations follow. */
#ifndef PYXGLM_PARTS_AMX_H
#define PYXGLM_PARTS_AMX_H

#include "amx.h"
#include "lanes_avx512.h"

#define STEP 32   /* inputs of a tile */
#define TOKENS 16 /* rows of x in a tile */
#define PARTS 3   /* tiles of x a step: hi, mid, lo */

/* Tiles of weights a step and 16 outputs: hi and lo, or the weights. */
#define WEIGHT_TILES(dtype) ((dtype) == PYXGLM_F16 ? 2 : 1)
#define X_TILES(dtype) (IS_COARSE(dtype) ? 1 : PARTS)

/* Products of what is rounded: one part of everything. Of bf16 weights, rounded
 * or not, nothing differs but how many parts x has. */
#define IS_COARSE(dtype) (((dtype) & PYXGLM_ROUNDED) != 0)
#define IS_BF16(dtype) (PYXGLM_STORED(dtype) == PYXGLM_BF16)

/* The upper half of x, rounded, in place: its lower half is 0. */
INLINE512 __m512i upper_half(__m512i x)
{
    const __m512i top_exponents = _mm512_set1_epi32(0x7f000000);
    const __m512i rounds = _mm512_set1_epi32(0x8000);
    const __mmask16 may_round =
        _mm512_cmpneq_epi32_mask(_mm512_and_si512(x, top_exponents), top_exponents);
    x = _mm512_mask_add_epi32(x, may_round, x, rounds);
    return _mm512_and_si512(x, _mm512_set1_epi32((int)0xffff0000u));
}

INLINE512 __m512i rest_of(__m512 x, __m512i part)
{
    return _mm512_castps_si512(_mm512_sub_ps(x, _mm512_castsi512_ps(part)));
}

/* The upper halves of a and b as pairs, (a_i, b_i). Their lower halves are 0. */
INLINE512 __m512i paired(__m512i a, __m512i b)
{
    return _mm512_or_si512(_mm512_srli_epi32(a, 16), b);
}

/* === Weights ============================================================= */

/* 32 weights of one row, or those in the masks and 0 for the others, into a row
 * of one or two tiles.
 *
 * fp16, for 64 bytes: 2 widenings (2 operations each), 2 additions, 2 ands, 2
 * subtractions, 2 shifts, an or, and an and with an or in one are 14 operations on
 * 2 ports, 2 loads and 2 stores: 7 cycles, 9 bytes a cycle, about twice what one
 * core of a server gets from memory. fp16 has no exponent near the top, so rounding
 * needs no care. */
INLINE512 void split_weights(char *tile, const char *w, int whole, __mmask16 first,
                             __mmask16 second, int dtype)
{
    if (IS_BF16(dtype)) {
        const __mmask32 mask = (__mmask32)second << 16 | first;
        _mm512_store_si512(tile, whole ? _mm512_loadu_si512(w) : _mm512_maskz_loadu_epi16(mask, w));
        return;
    }
    const __m512i rounds = _mm512_set1_epi32(0x8000);
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    const __m512 a = whole ? load_weights(w, 0, dtype) : load_weights_masked(w, 0, dtype, first);
    const __m512 b =
        whole ? load_weights(w, LANES, dtype) : load_weights_masked(w, LANES, dtype, second);
    if (IS_COARSE(dtype)) { /* they come rounded */
        _mm512_store_si512(tile, paired(_mm512_castps_si512(a), _mm512_castps_si512(b)));
        return;
    }
    const __m512i a_hi =
        _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(a), rounds), upper);
    const __m512i b_hi =
        _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(b), rounds), upper);
    _mm512_store_si512(tile, paired(a_hi, b_hi));
    /* NaN whose upper half became 0 above is NaN here; its lower half does not matter. */
    _mm512_store_si512(tile + TILE_BYTES, /* 0xf8: the first | the second & the third */
                       _mm512_ternarylogic_epi32(_mm512_srli_epi32(rest_of(a, a_hi), 16),
                                                 rest_of(b, b_hi), upper, 0xf8));
}

/* Rows [begin, end) of the tiles of `rows` <= 16 rows of weights and `inputs` <= 32
 * of them; 0 elsewhere. */
INLINE512 void split_rows(char *tile, const char *w, int64_t w_stride, int64_t rows,
                          int64_t inputs, int64_t begin, int64_t end, int dtype)
{
    const int whole = rows >= end && inputs >= STEP;
#pragma GCC unroll 1
    for (int64_t r = begin; r < end; r++) {
        char *to = tile + r * TILE_ROW_BYTES;
        if (whole)
            split_weights(to, w + r * w_stride, 1, 0, 0, dtype);
        else
            split_weights(to, w + (r < rows ? r : 0) * w_stride, 0,
                          first_lanes(r < rows ? inputs : 0),
                          first_lanes(r < rows ? inputs - LANES : 0), dtype);
    }
}

/* === Activations ========================================================== */

/* Columns become rows: a 16 x 16 matrix of 32-bit lanes from rows 64 bytes apart. */
INLINE512 void transpose_16x16(char *to, int64_t to_stride, const char *from)
{
    __m512i a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        const __m512i even = _mm512_loadu_si512(from + i * 64);
        const __m512i odd = _mm512_loadu_si512(from + (i + 1) * 64);
        a[i] = _mm512_unpacklo_epi32(even, odd);
        a[i + 1] = _mm512_unpackhi_epi32(even, odd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    /* b[4 j + c] has, in its quarter q, rows 4 j to 4 j + 3 of column 4 q + c. */
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        const __m512i low_02 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88);
        const __m512i low_13 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xdd);
        const __m512i high_02 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88);
        const __m512i high_13 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xdd);
        char *row = to + c * to_stride;
        _mm512_storeu_si512(row, _mm512_shuffle_i32x4(low_02, high_02, 0x88));
        _mm512_storeu_si512(row + 4 * to_stride, _mm512_shuffle_i32x4(low_13, high_13, 0x88));
        _mm512_storeu_si512(row + 8 * to_stride, _mm512_shuffle_i32x4(low_02, high_02, 0xdd));
        _mm512_storeu_si512(row + 12 * to_stride, _mm512_shuffle_i32x4(low_13, high_13, 0xdd));
    }
}

/* The upper halves of 32 inputs as pairs, in the order of the weights' tiles. */
INLINE512 __m512i paired_as(__m512i a, __m512i b, int dtype)
{
    if (!IS_BF16(dtype))
        return paired(a, b);
    /* Words 1, 3, 5 ... 31 of a, then of b. */
    const __m512i odd_words = _mm512_set_epi16(
        63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25, 23, 21,
        19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    return _mm512_permutex2var_epi16(a, odd_words, b);
}

/* The tiles, three or one, of `inputs` <= 32 of `rows` <= 16 rows of x; 0
 * elsewhere. Of rounded numbers the first part is all there is. */
INLINE512 void split_x(char *tiles_x, const float *x, int64_t x_stride, int64_t rows,
                       int64_t inputs, int dtype)
{
    _Alignas(64) char parts[PARTS][TOKENS][64];
    const __mmask16 first = first_lanes(inputs), second = first_lanes(inputs - LANES);
    if (rows != 1 && rows < TOKENS)
        memset(parts, 0, sizeof parts);
    for (int64_t m = 0; m < rows; m++) {
        const float *row = x + m * x_stride;
        __m512i a = _mm512_castps_si512(_mm512_maskz_loadu_ps(first, row));
        __m512i b = _mm512_castps_si512(_mm512_maskz_loadu_ps(second, row + LANES));
#pragma GCC unroll 3
        for (int part = 0; part < PARTS; part++) {
            if (part >= X_TILES(dtype))
                break;
            const __m512i a_part = upper_half(a), b_part = upper_half(b);
            _mm512_store_si512(parts[part][m], paired_as(a_part, b_part, dtype));
            a = rest_of(_mm512_castsi512_ps(a), a_part);
            b = rest_of(_mm512_castsi512_ps(b), b_part);
        }
    }
    for (int part = 0; part < X_TILES(dtype); part++) {
        char *tile = tiles_x + part * TILE_BYTES;
        if (rows > 1) {
            transpose_16x16(tile, TILE_ROW_BYTES, parts[part][0]);
            continue;
        }
        const __m512i only = _mm512_load_si512(parts[part][0]); /* lane i goes to row i */
        for (int i = 0; i < TILE_ROWS; i++)
            _mm512_storeu_si512(tile + i * TILE_ROW_BYTES,
                                _mm512_maskz_permutexvar_epi32(1, _mm512_set1_epi32(i), only));
    }
}

#endif
