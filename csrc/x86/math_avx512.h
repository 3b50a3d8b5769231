/* exp, erfc and the activations on 16 lanes. AVX-512 F, DQ.
 *
 * Polynomials are minimax fits by Remez exchange in 40-digit arithmetic, made
 * for this file; errors below were measured over every float32 in the range
 * named (exp, GELU) against float64.
 *
 * Operand order matters to max and min: when one operand is NaN they return
 * the second, so the number that may be NaN stands second. */
#ifndef PYXGLM_MATH_AVX512_H
#define PYXGLM_MATH_AVX512_H

#include "lanes_avx512.h"

/* a + b t for whole vectors: one step of Horner's rule. */
INLINE512 __m512 step_f32x16(__m512 t, __m512 b, float a)
{
    return _mm512_fmadd_ps(b, t, _mm512_set1_ps(a));
}

/* e^x. x = n ln 2 + r with whole n and |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r)
 * with q of degree 4 (relative error 3.1e-9); then times 2^n by vscalefps,
 * which rounds into subnormals and overflows to infinity as it should. ln 2
 * is taken in two parts, the first short enough that n times it is exact. */
INLINE512 __m512 exp_f32x16(__m512 x)
{
    x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);   /* e^89 is infinite */
    x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x); /* e^-104 rounds to 0 */
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e400p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 q = _mm512_set1_ps(0x1.6a23d0p-10f);
    q = step_f32x16(r, q, 0x1.123a20p-7f);
    q = step_f32x16(r, q, 0x1.5558f2p-5f);
    q = step_f32x16(r, q, 0x1.555492p-3f);
    q = step_f32x16(r, q, 0x1.fffffcp-2f);
    q = _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r);
    return _mm512_scalef_ps(_mm512_add_ps(q, _mm512_set1_ps(1.0f)), n);
}

/* erfc(a / sqrt 2) for a >= 0, which is 2 (1 - Phi(a)).
 *
 * It is 2^-t(a), where t is so smooth that one polynomial of degree 8 without
 * constant term (absolute error of the result 1.6e-8) serves from 0 to 6;
 * beyond, t grows past 150 and the result is 0, within 2e-9 of the truth. */
INLINE512 __m512 erfc_sqrt_half_f32x16(__m512 a)
{
    __m512 t = _mm512_set1_ps(0x1.7c7df0p-19f);
    t = step_f32x16(a, t, -0x1.4a525ep-15f);
    t = step_f32x16(a, t, 0x1.867230p-13f);
    t = step_f32x16(a, t, 0x1.1f2e48p-13f);
    t = step_f32x16(a, t, -0x1.cee890p-8f);
    t = step_f32x16(a, t, 0x1.ae0c78p-5f);
    t = step_f32x16(a, t, 0x1.d63aacp-2f);
    t = step_f32x16(a, t, 0x1.26aed4p+0f);
    t = _mm512_min_ps(_mm512_set1_ps(200.0f), _mm512_mul_ps(a, t));
    const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_sub_ps(n, t); /* exact; 2^-t = 2^f 2^-n */
    __m512 p = _mm512_set1_ps(0x1.41fb36p-13f);
    p = step_f32x16(f, p, 0x1.5f3e4ap-10f);
    p = step_f32x16(f, p, 0x1.3b2d4ep-7f);
    p = step_f32x16(f, p, 0x1.c6aee8p-5f);
    p = step_f32x16(f, p, 0x1.ebfbdcp-3f);
    p = step_f32x16(f, p, 0x1.62e430p-1f);
    p = step_f32x16(f, p, 1.0f);
    return _mm512_scalef_ps(p, _mm512_sub_ps(_mm512_setzero_ps(), n));
}

/* x Phi(x) = max(x, 0) - |x|/2 erfc(|x| / sqrt 2), rounded once at the end.
 * So the error is that of erfc, at most halved, and one rounding: nothing is
 * added to 1 and nothing cancels on either side. From 8 up the result is x
 * (and infinity stays infinity); at minus infinity it is NaN, as x * 0. */
INLINE512 __m512 gelu_f32x16(__m512 x)
{
    const __m512 a = _mm512_abs_ps(x);
    const __m512 tail = erfc_sqrt_half_f32x16(a);
    const __m512 relu = _mm512_max_ps(_mm512_setzero_ps(), x);
    const __mmask16 below_8 = _mm512_cmp_ps_mask(x, _mm512_set1_ps(8.0f), _CMP_NGE_UQ);
    return _mm512_mask3_fnmadd_ps(_mm512_mul_ps(a, _mm512_set1_ps(0.5f)), tail, relu, below_8);
}

/* x / (1 + e^-z), the logistic function of z times x. */
INLINE512 __m512 times_logistic_f32x16(__m512 x, __m512 z)
{
    const __m512 e = exp_f32x16(_mm512_sub_ps(_mm512_setzero_ps(), z));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

/* x/2 (1 + tanh u) = x / (1 + e^-2u) with u = sqrt(2/pi) (x + 0.044715 x^3):
 * the quotient form has no cancellation where tanh is near -1. */
INLINE512 __m512 gelu_tanh_f32x16(__m512 x)
{
    const __m512 square = _mm512_mul_ps(x, x);
    const __m512 slope = step_f32x16(square, _mm512_set1_ps(0x1.2444f2p-4f), 0x1.988454p+0f);
    return times_logistic_f32x16(x, _mm512_mul_ps(x, slope));
}

/* One activation; `kind` should be known when this is inlined. */
INLINE512 __m512 activate_f32x16(__m512 x, int64_t kind)
{
    switch (kind) {
    case PYXGLM_GELU: return gelu_f32x16(x);
    case PYXGLM_GELU_TANH: return gelu_tanh_f32x16(x);
    case PYXGLM_RELU: return _mm512_max_ps(_mm512_setzero_ps(), x);
    case PYXGLM_SILU: return times_logistic_f32x16(x, x);
    default: return x;
    }
}

#endif
