/* exp, erfc and the activations on 8 lanes. AVX2, FMA.
 *
 * Polynomials are minimax fits by Remez exchange in 40-digit arithmetic, made
 * for this file; errors below were measured over every float32 in the range
 * named (exp, GELU) against float64.
 *
 * Operand order matters to max and min: when one operand is NaN they return
 * the second, so the number that may be NaN stands second. */
#ifndef PYXGLM_MATH_AVX2_H
#define PYXGLM_MATH_AVX2_H

#include "lanes_avx2.h"

/* a + b t for whole vectors: one step of Horner's rule. */
INLINE256 __m256 step_f32x8(__m256 t, __m256 b, float a)
{
    return _mm256_fmadd_ps(b, t, _mm256_set1_ps(a));
}

/* p 2^n for whole n in [-252, 254], in two steps, so that the result may be a
 * subnormal or infinite while each factor is an ordinary number. */
INLINE256 __m256 scale_f32x8(__m256 p, __m256 n)
{
    const __m256i whole = _mm256_cvtps_epi32(n), bias = _mm256_set1_epi32(127);
    const __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
    const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i second = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(first)),
                         _mm256_castsi256_ps(second));
}

/* e^r - 1 for |r| <= ln 2 / 2: r + r^2 q(r) with q of degree 4 (relative error of
 * e^r 3.1e-9). */
INLINE256 __m256 exp_minus_1_f32x8(__m256 r)
{
    __m256 q = _mm256_set1_ps(0x1.6a23d0p-10f);
    q = step_f32x8(r, q, 0x1.123a20p-7f);
    q = step_f32x8(r, q, 0x1.5558f2p-5f);
    q = step_f32x8(r, q, 0x1.555492p-3f);
    q = step_f32x8(r, q, 0x1.fffffcp-2f);
    return _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r);
}

/* x - n ln 2, where ln 2 is taken in two parts, the first short enough that n times it
 * is exact. */
INLINE256 __m256 less_ln2_f32x8(__m256 x, __m256 n)
{
    const __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e400p-1f), x);
    return _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
}

/* e^x = 2^n e^r with whole n. */
INLINE256 __m256 exp_f32x8(__m256 x)
{
    x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);   /* e^89 is infinite */
    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), x); /* e^-104 rounds to 0 */
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256 q = exp_minus_1_f32x8(less_ln2_f32x8(x, n));
    return scale_f32x8(_mm256_add_ps(q, _mm256_set1_ps(1.0f)), n);
}

/* The same for x <= 0, or NaN, in 14 instructions for 22; what is larger gives
 * anything. Beside 1.5 x 2^23 n is rounded to a whole number, and with 127 more its
 * lowest bits are the exponent of 2^n. -88 is rounded to n = -127, whose exponent is
 * that of 0: so what is below 2^-126.5 becomes 0. Above, the error is 1.01 ulp at most. */
INLINE256 void exp_of_each(__m256 *x, int vectors)
{
    const __m256 beside = _mm256_set1_ps(0x1.8p+23f + 127.0f);
    __m256 at[4], q[4];
#define EACH _Pragma("GCC unroll 4") for (int i = 0; i < vectors; i++)
    EACH x[i] = _mm256_max_ps(_mm256_set1_ps(-88.0f), x[i]);
    EACH at[i] = _mm256_fmadd_ps(x[i], _mm256_set1_ps(0x1.715476p+0f), beside);
    EACH q[i] = exp_minus_1_f32x8(less_ln2_f32x8(x[i], _mm256_sub_ps(at[i], beside)));
    EACH q[i] = _mm256_add_ps(q[i], _mm256_set1_ps(1.0f));
    EACH
    {
        const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(at[i]), 23);
        x[i] = _mm256_mul_ps(q[i], _mm256_castsi256_ps(power));
    }
#undef EACH
}

/* erfc(a / sqrt 2) for a >= 0, which is 2 (1 - Phi(a)).
 *
 * It is 2^-t(a), where t is so smooth that one polynomial of degree 8 without
 * constant term (absolute error of the result 1.6e-8) serves from 0 to 6;
 * beyond, t grows past 150 and the result is 0, within 2e-9 of the truth. */
INLINE256 __m256 erfc_sqrt_half_f32x8(__m256 a)
{
    __m256 t = _mm256_set1_ps(0x1.7c7df0p-19f);
    t = step_f32x8(a, t, -0x1.4a525ep-15f);
    t = step_f32x8(a, t, 0x1.867230p-13f);
    t = step_f32x8(a, t, 0x1.1f2e48p-13f);
    t = step_f32x8(a, t, -0x1.cee890p-8f);
    t = step_f32x8(a, t, 0x1.ae0c78p-5f);
    t = step_f32x8(a, t, 0x1.d63aacp-2f);
    t = step_f32x8(a, t, 0x1.26aed4p+0f);
    t = _mm256_min_ps(_mm256_set1_ps(200.0f), _mm256_mul_ps(a, t));
    const __m256 n = _mm256_round_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256 f = _mm256_sub_ps(n, t); /* exact; 2^-t = 2^f 2^-n */
    __m256 p = _mm256_set1_ps(0x1.41fb36p-13f);
    p = step_f32x8(f, p, 0x1.5f3e4ap-10f);
    p = step_f32x8(f, p, 0x1.3b2d4ep-7f);
    p = step_f32x8(f, p, 0x1.c6aee8p-5f);
    p = step_f32x8(f, p, 0x1.ebfbdcp-3f);
    p = step_f32x8(f, p, 0x1.62e430p-1f);
    p = step_f32x8(f, p, 1.0f);
    return scale_f32x8(p, _mm256_sub_ps(_mm256_setzero_ps(), n));
}

/* x Phi(x) = max(x, 0) - |x|/2 erfc(|x| / sqrt 2), rounded once at the end.
 * So the error is that of erfc, at most halved, and one rounding: nothing is
 * added to 1 and nothing cancels on either side. From 8 up the result is x
 * (and infinity stays infinity); at minus infinity it is NaN, as x * 0. */
INLINE256 __m256 gelu_f32x8(__m256 x)
{
    const __m256 a = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
    const __m256 tail = erfc_sqrt_half_f32x8(a);
    const __m256 relu = _mm256_max_ps(_mm256_setzero_ps(), x);
    const __m256 below_8 = _mm256_cmp_ps(x, _mm256_set1_ps(8.0f), _CMP_NGE_UQ);
    const __m256 y = _mm256_fnmadd_ps(_mm256_mul_ps(a, _mm256_set1_ps(0.5f)), tail, relu);
    return _mm256_blendv_ps(relu, y, below_8);
}

/* x / (1 + e^-z), the logistic function of z times x. */
INLINE256 __m256 times_logistic_f32x8(__m256 x, __m256 z)
{
    const __m256 e = exp_f32x8(_mm256_sub_ps(_mm256_setzero_ps(), z));
    return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

/* x/2 (1 + tanh u) = x / (1 + e^-2u) with u = sqrt(2/pi) (x + 0.044715 x^3):
 * the quotient form has no cancellation where tanh is near -1. */
INLINE256 __m256 gelu_tanh_f32x8(__m256 x)
{
    const __m256 square = _mm256_mul_ps(x, x);
    const __m256 slope = step_f32x8(square, _mm256_set1_ps(0x1.2444f2p-4f), 0x1.988454p+0f);
    return times_logistic_f32x8(x, _mm256_mul_ps(x, slope));
}

/* One activation; `kind` should be known when this is inlined. */
INLINE256 __m256 activate_f32x8(__m256 x, int64_t kind)
{
    switch (kind) {
    case PYXGLM_GELU: return gelu_f32x8(x);
    case PYXGLM_GELU_TANH: return gelu_tanh_f32x8(x);
    case PYXGLM_RELU: return _mm256_max_ps(_mm256_setzero_ps(), x);
    case PYXGLM_SILU: return times_logistic_f32x8(x, x);
    default: return x;
    }
}

#endif
