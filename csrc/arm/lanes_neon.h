/* Loads, tails and sums of 4 floats. NEON as every aarch64 has it (ARMv8.0-A).
 *
 * A tail of n < 4 numbers is copied into a small buffer of zeros, and loaded
 * from there. So a tail runs through the same instructions as the body and
 * needs no code with its own rounding, and no byte behind it is touched. */
#ifndef PYXGLM_LANES_NEON_H
#define PYXGLM_LANES_NEON_H

#include "../internal.h"

#include <arm_neon.h>

#define LANES 4

/* All ones in the first n lanes; in all of them for n >= 4, in none for n <= 0. */
PYXGLM_INLINE uint32x4_t first_lanes(int64_t n)
{
    static const int32_t lane[LANES] = {0, 1, 2, 3};
    const int count = n > LANES ? LANES : n < 0 ? 0 : (int)n;
    return vcgtq_s32(vdupq_n_s32(count), vld1q_s32(lane));
}

PYXGLM_INLINE float32x4_t load_first(const float *p, int64_t n)
{
    if (n >= LANES)
        return vld1q_f32(p);
    float part[LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        part[i] = p[i];
    return vld1q_f32(part);
}

PYXGLM_INLINE void store_first(float *p, int64_t n, float32x4_t x)
{
    if (n >= LANES) {
        vst1q_f32(p, x);
        return;
    }
    float part[LANES];
    vst1q_f32(part, x);
    for (int64_t i = 0; i < n; i++)
        p[i] = part[i];
}

/* x in the lanes of the mask, 0 elsewhere. */
PYXGLM_INLINE float32x4_t keep_f32x4(uint32x4_t mask, float32x4_t x)
{
    return vreinterpretq_f32_u32(vandq_u32(mask, vreinterpretq_u32_f32(x)));
}

/* 4 numbers of 16 bits, as floats. Widening is exact for both types,
 * subnormals included. */
PYXGLM_INLINE float32x4_t widen_f32x4(uint16x4_t stored, int dtype)
{
    if (PYXGLM_STORED(dtype) == PYXGLM_F16)
        return vcvt_f32_f16(vreinterpret_f16_u16(stored));
    return vreinterpretq_f32_u32(vshll_n_u16(stored, 16));
}

/* pyxglm_round_bf16 of 4 floats. */
PYXGLM_INLINE float32x4_t rounded_f32x4(float32x4_t x)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t sum = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    const uint32x4_t found = vbslq_u32(vceqq_f32(x, x), sum, quiet);
    return vreinterpretq_f32_u32(vandq_u32(found, vdupq_n_u32(0xffff0000u)));
}

PYXGLM_INLINE float32x4_t rounded_if(float32x4_t x, int dtype)
{
    return dtype & PYXGLM_ROUNDED ? rounded_f32x4(x) : x;
}

/* Weights [i, i + 4) of an array stored as `dtype`, at any address: they are
 * loaded as bytes. */
PYXGLM_INLINE float32x4_t load_weights(const void *w, int64_t i, int dtype)
{
    const uint8_t *p = (const uint8_t *)w + i * pyxglm_itemsize(dtype);
    if (PYXGLM_STORED(dtype) == PYXGLM_F32)
        return rounded_if(vreinterpretq_f32_u8(vld1q_u8(p)), dtype);
    if (PYXGLM_STORED(dtype) == PYXGLM_I8) {
        uint32_t four;
        memcpy(&four, p, sizeof four);
        const int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
        return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
    }
    return rounded_if(widen_f32x4(vreinterpret_u16_u8(vld1_u8(p)), dtype), dtype);
}

/* The first n of them; the others are 0. */
PYXGLM_INLINE float32x4_t load_first_weights(const void *w, int64_t i, int dtype, int64_t n)
{
    if (n >= LANES)
        return load_weights(w, i, dtype);
    uint8_t part[LANES * sizeof(float)] = {0};
    if (n > 0)
        memcpy(part, (const uint8_t *)w + i * pyxglm_itemsize(dtype),
               (size_t)(n * pyxglm_itemsize(dtype)));
    return load_weights(part, 0, dtype);
}

/* The sums of four vectors, in order: each adds neighbours, then the pairs. */
PYXGLM_INLINE float32x4_t sums_of_4(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d)
{
    return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
}

/* The sum of one vector by the same tree. */
PYXGLM_INLINE float sum_of(float32x4_t a)
{
    return vgetq_lane_f32(sums_of_4(a, a, a, a), 0);
}

#endif
