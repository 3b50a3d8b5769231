/* exp, erfc and the activations on 4 lanes. NEON.
 *
 * Formulas and polynomials are those of x86/math_avx2.h, operation for
 * operation, and every step here and there is correctly rounded: so are the
 * results, bit for bit (a zero may have another sign), and what was measured
 * there over every float32 holds here. (The shorter exp that x86 has for numbers
 * that are not positive, exp_of_each, has no counterpart.)
 *
 * vmaxq and vminq return NaN if either operand is NaN. */
#ifndef PYXGLM_MATH_NEON_H
#define PYXGLM_MATH_NEON_H

#include "lanes_neon.h"

/* a + b t for whole vectors: one step of Horner's rule. */
PYXGLM_INLINE float32x4_t step_f32x4(float32x4_t t, float32x4_t b, float a)
{
    return vfmaq_f32(vdupq_n_f32(a), b, t);
}

/* p 2^n for whole n in [-252, 254], in two steps, so that the result may be a
 * subnormal or infinite while each factor is an ordinary number. */
PYXGLM_INLINE float32x4_t scale_f32x4(float32x4_t p, float32x4_t n)
{
    const int32x4_t whole = vcvtq_s32_f32(n), bias = vdupq_n_s32(127);
    const int32x4_t half = vshrq_n_s32(whole, 1), rest = vsubq_s32(whole, half);
    const int32x4_t first = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t second = vshlq_n_s32(vaddq_s32(rest, bias), 23);
    return vmulq_f32(vmulq_f32(p, vreinterpretq_f32_s32(first)), vreinterpretq_f32_s32(second));
}

/* e^x. x = n ln 2 + r with whole n and |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r)
 * with q of degree 4 (relative error 3.1e-9); then times 2^n. ln 2 is taken in
 * two parts, the first short enough that n times it is exact. */
PYXGLM_INLINE float32x4_t exp_f32x4(float32x4_t x)
{
    x = vminq_f32(vdupq_n_f32(89.0f), x);   /* e^89 is infinite */
    x = vmaxq_f32(vdupq_n_f32(-104.0f), x); /* e^-104 rounds to 0 */
    const float32x4_t n = vrndnq_f32(vmulq_f32(x, vdupq_n_f32(0x1.715476p+0f)));
    float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0x1.62e400p-1f));
    r = vfmsq_f32(r, n, vdupq_n_f32(0x1.7f7d1cp-20f));
    float32x4_t q = vdupq_n_f32(0x1.6a23d0p-10f);
    q = step_f32x4(r, q, 0x1.123a20p-7f);
    q = step_f32x4(r, q, 0x1.5558f2p-5f);
    q = step_f32x4(r, q, 0x1.555492p-3f);
    q = step_f32x4(r, q, 0x1.fffffcp-2f);
    q = vfmaq_f32(r, vmulq_f32(r, r), q);
    return scale_f32x4(vaddq_f32(q, vdupq_n_f32(1.0f)), n);
}

/* erfc(a / sqrt 2) for a >= 0, which is 2 (1 - Phi(a)).
 *
 * It is 2^-t(a), where t is so smooth that one polynomial of degree 8 without
 * constant term (absolute error of the result 1.6e-8) serves from 0 to 6;
 * beyond, t grows past 150 and the result is 0, within 2e-9 of the truth. */
PYXGLM_INLINE float32x4_t erfc_sqrt_half_f32x4(float32x4_t a)
{
    float32x4_t t = vdupq_n_f32(0x1.7c7df0p-19f);
    t = step_f32x4(a, t, -0x1.4a525ep-15f);
    t = step_f32x4(a, t, 0x1.867230p-13f);
    t = step_f32x4(a, t, 0x1.1f2e48p-13f);
    t = step_f32x4(a, t, -0x1.cee890p-8f);
    t = step_f32x4(a, t, 0x1.ae0c78p-5f);
    t = step_f32x4(a, t, 0x1.d63aacp-2f);
    t = step_f32x4(a, t, 0x1.26aed4p+0f);
    t = vminq_f32(vdupq_n_f32(200.0f), vmulq_f32(a, t));
    const float32x4_t n = vrndnq_f32(t);
    const float32x4_t f = vsubq_f32(n, t); /* exact; 2^-t = 2^f 2^-n */
    float32x4_t p = vdupq_n_f32(0x1.41fb36p-13f);
    p = step_f32x4(f, p, 0x1.5f3e4ap-10f);
    p = step_f32x4(f, p, 0x1.3b2d4ep-7f);
    p = step_f32x4(f, p, 0x1.c6aee8p-5f);
    p = step_f32x4(f, p, 0x1.ebfbdcp-3f);
    p = step_f32x4(f, p, 0x1.62e430p-1f);
    p = step_f32x4(f, p, 1.0f);
    return scale_f32x4(p, vnegq_f32(n));
}

/* x Phi(x) = max(x, 0) - |x|/2 erfc(|x| / sqrt 2), rounded once at the end.
 * So the error is that of erfc, at most halved, and one rounding: nothing is
 * added to 1 and nothing cancels on either side. From 8 up the result is x
 * (and infinity stays infinity); at minus infinity it is NaN, as x * 0. */
PYXGLM_INLINE float32x4_t gelu_f32x4(float32x4_t x)
{
    const float32x4_t a = vabsq_f32(x), tail = erfc_sqrt_half_f32x4(a);
    const float32x4_t relu = vmaxq_f32(vdupq_n_f32(0.0f), x);
    const uint32x4_t from_8 = vcgeq_f32(x, vdupq_n_f32(8.0f));
    const float32x4_t y = vfmsq_f32(relu, vmulq_f32(a, vdupq_n_f32(0.5f)), tail);
    return vbslq_f32(from_8, relu, y);
}

/* x / (1 + e^-z), the logistic function of z times x. */
PYXGLM_INLINE float32x4_t times_logistic_f32x4(float32x4_t x, float32x4_t z)
{
    const float32x4_t e = exp_f32x4(vnegq_f32(z));
    return vdivq_f32(x, vaddq_f32(vdupq_n_f32(1.0f), e));
}

/* x/2 (1 + tanh u) = x / (1 + e^-2u) with u = sqrt(2/pi) (x + 0.044715 x^3):
 * the quotient form has no cancellation where tanh is near -1. */
PYXGLM_INLINE float32x4_t gelu_tanh_f32x4(float32x4_t x)
{
    const float32x4_t square = vmulq_f32(x, x);
    const float32x4_t slope = step_f32x4(square, vdupq_n_f32(0x1.2444f2p-4f), 0x1.988454p+0f);
    return times_logistic_f32x4(x, vmulq_f32(x, slope));
}

/* One activation; `kind` should be known when this is inlined. */
PYXGLM_INLINE float32x4_t activate_f32x4(float32x4_t x, int64_t kind)
{
    switch (kind) {
    case PYXGLM_GELU: return gelu_f32x4(x);
    case PYXGLM_GELU_TANH: return gelu_tanh_f32x4(x);
    case PYXGLM_RELU: return vmaxq_f32(vdupq_n_f32(0.0f), x);
    case PYXGLM_SILU: return times_logistic_f32x4(x, x);
    default: return x;
    }
}

#endif
