/* The activations, one number at a time. Reference: pyxglm/ops/reference.py.
 *
 * Bound by memory, or at the heaviest (GELU: 26 instructions for 8 numbers)
 * by the two FMA ports. Chains are long, so two vectors run side by side: out
 * of order execution alone would need 40 instructions of foresight. */
#include "math_avx2.h"
#include "x86.h"

INLINE256 void map(const pyxglm_map_args *a, int64_t begin, int64_t end, int64_t kind)
{
    int64_t i = begin;
    for (; i + 2 * LANES <= end; i += 2 * LANES) {
        const __m256 first = activate_f32x8(_mm256_loadu_ps(a->x + i), kind);
        const __m256 second = activate_f32x8(_mm256_loadu_ps(a->x + i + LANES), kind);
        _mm256_storeu_ps(a->y + i, first);
        _mm256_storeu_ps(a->y + i + LANES, second);
    }
    for (; i < end; i += LANES) {
        const __m256 x = load_first(a->x + i, end - i);
        store_first(a->y + i, end - i, activate_f32x8(x, kind));
    }
}

PYXGLM_TARGET_AVX2 void pyxglm_gelu_avx2(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_GELU);
}

PYXGLM_TARGET_AVX2 void pyxglm_gelu_tanh_avx2(const pyxglm_map_args *a, int64_t begin,
                                                  int64_t end)
{
    map(a, begin, end, PYXGLM_GELU_TANH);
}

PYXGLM_TARGET_AVX2 void pyxglm_relu_avx2(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_RELU);
}

PYXGLM_TARGET_AVX2 void pyxglm_silu_avx2(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_SILU);
}
