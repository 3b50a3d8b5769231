/* The activations, one number at a time. Reference: pyxglm/ops/reference.py.
 *
 * Bound by memory, or at the heaviest (GELU: 26 instructions for 4 numbers) by
 * the FMA units. Chains are long, so four vectors run side by side: out of
 * order execution alone would need 80 instructions of foresight. */
#include "arm.h"
#include "math_neon.h"

#define VECTORS 4
#define WIDTH (VECTORS * LANES)

PYXGLM_INLINE void map(const pyxglm_map_args *a, int64_t begin, int64_t end, int64_t kind)
{
    int64_t i = begin;
    for (; i + WIDTH <= end; i += WIDTH) {
        float32x4_t y_f32x4[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            y_f32x4[j] = activate_f32x4(vld1q_f32(a->x + i + j * LANES), kind);
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            vst1q_f32(a->y + i + j * LANES, y_f32x4[j]);
    }
    for (; i < end; i += LANES) {
        const float32x4_t x = load_first(a->x + i, end - i);
        store_first(a->y + i, end - i, activate_f32x4(x, kind));
    }
}

void pyxglm_gelu_neon(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_GELU);
}

void pyxglm_gelu_tanh_neon(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_GELU_TANH);
}

void pyxglm_relu_neon(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_RELU);
}

void pyxglm_silu_neon(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    map(a, begin, end, PYXGLM_SILU);
}
