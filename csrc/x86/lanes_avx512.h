/* Loads, tails and sums of 16 floats. AVX-512 F, BW, DQ, VL.
 *
 * A tail of n < 16 numbers is a masked load: lanes past the end are 0 and
 * their memory is not touched. So a tail runs through the same instructions as
 * the body and needs no scalar code with its own rounding. */
#ifndef PYXGLM_LANES_AVX512_H
#define PYXGLM_LANES_AVX512_H

#include <immintrin.h>

#include "../internal.h"

#define LANES 16
#define INLINE512 PYXGLM_TARGET_AVX512 PYXGLM_INLINE

/* The first n lanes; all of them for n >= 16, none for n <= 0. */
INLINE512 __mmask16 first_lanes(int64_t n)
{
    return n >= LANES ? (__mmask16)0xffff : n <= 0 ? (__mmask16)0 : (__mmask16)((1u << n) - 1);
}

/* pyxglm_round_bf16 of 16 floats. */
INLINE512 __m512 rounded_f32x16(__m512 x)
{
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum =
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i found =
        _mm512_mask_or_epi32(sum, is_nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_castsi512_ps(
        _mm512_and_si512(found, _mm512_set1_epi32((int)0xffff0000u)));
}

/* 16 numbers of 16 bits, as floats. Widening is exact for both types,
 * subnormals included.
 * Zen 4: vcvtph2ps zmm 2 uops, latency 6; bf16 is vpmovzxwd and a shift. */
INLINE512 __m512 widen_f32x16(__m256i stored, int dtype)
{
    if (PYXGLM_STORED(dtype) == PYXGLM_F16)
        return _mm512_cvtph_ps(stored);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16));
}

/* 16 whole numbers of 8 bits, as floats. */
INLINE512 __m512 widen_i8x16(__m128i stored)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(stored));
}

/* Weights [i, i + 16) of an array stored as `dtype`, as floats. */
INLINE512 __m512 load_weights(const void *w, int64_t i, int dtype)
{
    if (PYXGLM_STORED(dtype) == PYXGLM_I8)
        return widen_i8x16(_mm_loadu_si128((const void *)((const int8_t *)w + i)));
    const __m512 x =
        PYXGLM_STORED(dtype) == PYXGLM_F32
            ? _mm512_loadu_ps((const float *)w + i)
            : widen_f32x16(_mm256_loadu_si256((const void *)((const uint16_t *)w + i)), dtype);
    return dtype & PYXGLM_ROUNDED ? rounded_f32x16(x) : x;
}

INLINE512 __m512 load_weights_masked(const void *w, int64_t i, int dtype, __mmask16 mask)
{
    if (PYXGLM_STORED(dtype) == PYXGLM_I8)
        return widen_i8x16(_mm_maskz_loadu_epi8(mask, (const int8_t *)w + i));
    const __m512 x =
        PYXGLM_STORED(dtype) == PYXGLM_F32
            ? _mm512_maskz_loadu_ps(mask, (const float *)w + i)
            : widen_f32x16(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)w + i), dtype);
    return dtype & PYXGLM_ROUNDED ? rounded_f32x16(x) : x;
}

/* The sums of four vectors, in order. Each is the tree 8 + 8, 4 + 4, 2 + 2,
 * 1 + 1 of its lanes; doing four at once halves the shuffles:
 * 3 + 3 + 3 for the merging levels and 4 for the last two. */
INLINE512 __m128 sums_of_4(__m512 a, __m512 b, __m512 c, __m512 d)
{
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44),
                                    _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44),
                                    _mm512_shuffle_f32x4(c, d, 0xee));
    __m512 abcd = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88),
                                _mm512_shuffle_f32x4(ab, cd, 0xdd));
    abcd = _mm512_add_ps(abcd, _mm512_permute_ps(abcd, 0x4e));
    abcd = _mm512_add_ps(abcd, _mm512_permute_ps(abcd, 0xb1));
    return _mm512_castps512_ps128(
        _mm512_maskz_compress_ps(0x1111, abcd));
}

/* The sum of one vector by the same tree. */
INLINE512 float sum_of(__m512 a)
{
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_permute_ps(four, 0x4e));
    four = _mm_add_ps(four, _mm_permute_ps(four, 0xb1));
    return _mm_cvtss_f32(four);
}

/* The largest lane. A NaN may or may not be seen. */
INLINE512 float max_of(__m512 a)
{
    const __m256 eight =
        _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_permute_ps(four, 0x4e));
    four = _mm_max_ps(four, _mm_permute_ps(four, 0xb1));
    return _mm_cvtss_f32(four);
}

#endif
