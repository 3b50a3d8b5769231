/* Loads, tails and sums of 8 floats. AVX2, FMA, F16C.
 *
 * A tail of n < 8 numbers is a load that touches only those: by vmaskmovps for
 * floats, by way of a small buffer for 16-bit numbers, which have no such
 * load. Other lanes are 0. So a tail runs through the same instructions as the
 * body and needs no scalar code with its own rounding. */
#ifndef PYXGLM_LANES_AVX2_H
#define PYXGLM_LANES_AVX2_H

#include <immintrin.h>

#include "../internal.h"

#define LANES 8
#define INLINE256 PYXGLM_TARGET_AVX2 PYXGLM_INLINE

/* All ones in the first n lanes; in all of them for n >= 8, in none for n <= 0. */
INLINE256 __m256i first_lanes(int64_t n)
{
    const int count = n > LANES ? LANES : n < 0 ? 0 : (int)n;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE256 __m256 load_first(const float *p, int64_t n)
{
    return n >= LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}

INLINE256 void store_first(float *p, int64_t n, __m256 x)
{
    if (n >= LANES)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, first_lanes(n), x);
}

/* x in the lanes of the mask, `other` elsewhere. */
INLINE256 __m256 select_f32x8(__m256i mask, __m256 x, __m256 other)
{
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(mask));
}

/* 8 numbers of 16 bits, as floats. Widening is exact for both types,
 * subnormals included. */
INLINE256 __m256 widen_f32x8(__m128i stored, int dtype)
{
    if (PYXGLM_STORED(dtype) == PYXGLM_F16)
        return _mm256_cvtph_ps(stored);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(stored), 16));
}

/* pyxglm_round_bf16 of 8 floats. */
INLINE256 __m256 rounded_f32x8(__m256 x)
{
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i sum =
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256 quiet = _mm256_or_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x400000)));
    const __m256 found = _mm256_blendv_ps(_mm256_castsi256_ps(sum), quiet,
                                          _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_and_ps(found, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000u)));
}

INLINE256 __m256 rounded_if(__m256 x, int dtype)
{
    return dtype & PYXGLM_ROUNDED ? rounded_f32x8(x) : x;
}

/* 8 whole numbers of 8 bits, as floats. */
INLINE256 __m256 widen_i8x8(__m128i stored)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(stored));
}

/* Weights [i, i + 8) of an array stored as `dtype`. */
INLINE256 __m256 load_weights(const void *w, int64_t i, int dtype)
{
    if (PYXGLM_STORED(dtype) == PYXGLM_F32)
        return rounded_if(_mm256_loadu_ps((const float *)w + i), dtype);
    if (PYXGLM_STORED(dtype) == PYXGLM_I8)
        return widen_i8x8(_mm_loadl_epi64((const void *)((const int8_t *)w + i)));
    const __m128i stored = _mm_loadu_si128((const void *)((const uint16_t *)w + i));
    return rounded_if(widen_f32x8(stored, dtype), dtype);
}

/* The first n < 8 of them. */
INLINE256 __m256 load_first_weights(const void *w, int64_t i, int dtype, int64_t n)
{
    if (PYXGLM_STORED(dtype) == PYXGLM_F32)
        return rounded_if(load_first((const float *)w + i, n), dtype);
    uint16_t stored[LANES] = {0};
    const int64_t itemsize = pyxglm_itemsize(dtype);
    memcpy(stored, (const char *)w + i * itemsize, (size_t)(n * itemsize));
    if (PYXGLM_STORED(dtype) == PYXGLM_I8)
        return widen_i8x8(_mm_loadl_epi64((const void *)stored));
    return rounded_if(widen_f32x8(_mm_loadu_si128((const void *)stored), dtype), dtype);
}

/* The sums of four vectors, in order. Each adds neighbours, then
 * pairs, then the halves: vhaddps is two shuffles and an addition. */
INLINE256 __m128 sums_of_4(__m256 a, __m256 b, __m256 c, __m256 d)
{
    const __m256 ab = _mm256_hadd_ps(a, b), cd = _mm256_hadd_ps(c, d);
    const __m256 abcd = _mm256_hadd_ps(ab, cd);
    return _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1));
}

/* The sum of one vector by the same tree. */
INLINE256 float sum_of(__m256 a)
{
    return _mm_cvtss_f32(sums_of_4(a, a, a, a));
}

/* The largest lane. A NaN may or may not be seen. */
INLINE256 float max_of(__m256 a)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    four = _mm_max_ps(four, _mm_permute_ps(four, 0x4e));
    four = _mm_max_ps(four, _mm_permute_ps(four, 0xb1));
    return _mm_cvtss_f32(four);
}

#endif
