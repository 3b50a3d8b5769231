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

/* 2^(i/16) as a float, and what that leaves out. */
static const float exp2_of_16ths[2][16] = {
    {0x1.0p+0f, 0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f, 0x1.306fep+0f, 0x1.3dea64p+0f,
     0x1.4bfdaep+0f, 0x1.5ab07ep+0f, 0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f,
     0x1.9c4918p+0f, 0x1.ae89fap+0f, 0x1.c199bep+0f, 0x1.d5818ep+0f, 0x1.ea4afap+0f},
    {0x0.0p+0f, 0x1.9f3122p-25f, -0x1.c15742p-27f, 0x1.ceac48p-25f, 0x1.4636e2p-25f,
     0x1.824684p-25f, -0x1.593abcp-25f, -0x1.5bd5ecp-27f, 0x1.9fcef4p-26f, -0x1.829fdp-25f,
     0x1.15506ep-27f, 0x1.51f848p-27f, -0x1.a94b14p-26f, -0x1.3d56b2p-27f, -0x1.822dbcp-27f,
     0x1.52486cp-27f},
};

/* e^x. x = n ln 2 + r with n a multiple of 1/16 and |r| <= ln 2 / 32; so short
 * a range needs e^r - 1 = r + r^2 (c2 + c3 r) only (relative error 4.6e-9).
 * The fraction of n picks 2^(i/16) from a register, in two parts, so that the
 * one rounding that counts is that of the last sum; the whole part goes to
 * vscalefps, which takes the floor itself, rounds into subnormals and
 * overflows to infinity as it should. The result is within 0.62 ulp. ln 2 is taken
 * in two parts, the first short enough that n times it is exact. 8 instructions
 * for the two FMA pipes, where one polynomial over |r| <= ln 2 / 2 needs 11.
 *
 * For x <= 89, where e^x is infinite, or NaN; what is larger gives anything. */
INLINE512 void exp_of_each(__m512 *x, int vectors)
{
    __m512 at[4], n[4], r[4], q[4], power[4], rest[4];
#define EACH _Pragma("GCC unroll 4") for (int i = 0; i < vectors; i++)
    EACH x[i] = _mm512_max_ps(_mm512_set1_ps(-104.0f), x[i]); /* e^-104 rounds to 0 */
    /* Beside 1.5 x 2^19 n is rounded to 16ths, which stand in the lowest 4 bits:
     * those that a permutation reads. */
    EACH at[i] = _mm512_fmadd_ps(x[i], _mm512_set1_ps(0x1.715476p+0f),
                                 _mm512_set1_ps(0x1.8p+19f));
    EACH n[i] = _mm512_sub_ps(at[i], _mm512_set1_ps(0x1.8p+19f));
    EACH r[i] = _mm512_fnmadd_ps(n[i], _mm512_set1_ps(0x1.62e400p-1f), x[i]);
    EACH r[i] = _mm512_fnmadd_ps(n[i], _mm512_set1_ps(0x1.7f7d1cp-20f), r[i]);
    EACH
    {
        const __m512i index = _mm512_castps_si512(at[i]);
        power[i] = _mm512_permutexvar_ps(index, _mm512_loadu_ps(exp2_of_16ths[0]));
        rest[i] = _mm512_permutexvar_ps(index, _mm512_loadu_ps(exp2_of_16ths[1]));
    }
    EACH q[i] = step_f32x16(r[i], _mm512_set1_ps(0x1.5556dep-3f), 0x1.000148p-1f);
    EACH q[i] = _mm512_fmadd_ps(_mm512_mul_ps(r[i], r[i]), q[i], r[i]); /* e^r - 1 */
    EACH q[i] = _mm512_fmadd_ps(power[i], q[i], rest[i]);
    EACH q[i] = _mm512_add_ps(q[i], power[i]);
    EACH x[i] = _mm512_scalef_ps(q[i], n[i]);
#undef EACH
}

INLINE512 __m512 exp_f32x16(__m512 x)
{
    x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);
    exp_of_each(&x, 1);
    return x;
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
