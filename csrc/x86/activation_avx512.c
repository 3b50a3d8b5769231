/* The activations, one number at a time. Reference: pyxglm/ops/reference.py.
 *
 * Bound by memory, or at the heaviest (GELU: 22 instructions for 16 numbers)
 * by the two FMA ports. Chains are long, so two vectors run side by side: out
 * of order execution alone would need 40 instructions of foresight. */
#include "math_avx512.h"
#include "x86.h"

INLINE512 void map(const pyxglm_map_args *a, int64_t begin, int64_t end, int64_t kind)
{
    int64_t i = begin;
    for (; i + 2 * LANES <= end; i += 2 * LANES) {
        const __m512 first = activate_f32x16(_mm512_loadu_ps(a->x + i), kind);
        const __m512 second = activate_f32x16(_mm512_loadu_ps(a->x + i + LANES), kind);
        _mm512_storeu_ps(a->y + i, first);
        _mm512_storeu_ps(a->y + i + LANES, second);
    }
    for (; i < end; i += LANES) {
        const __mmask16 mask = first_lanes(end - i);
        _mm512_mask_storeu_ps(a->y + i, mask,
                              activate_f32x16(_mm512_maskz_loadu_ps(mask, a->x + i), kind));
    }
}

PYXGLM_TARGET_AVX512 void pyxglm_gelu_avx512(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_GELU);
}

PYXGLM_TARGET_AVX512 void pyxglm_gelu_tanh_avx512(const pyxglm_map_args *a, int64_t begin,
                                                  int64_t end)
{
    map(a, begin, end, PYXGLM_GELU_TANH);
}

PYXGLM_TARGET_AVX512 void pyxglm_silu_avx512(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_SILU);
}
