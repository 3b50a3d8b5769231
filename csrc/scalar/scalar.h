/* scalar.h - what the plain C kernels share.
 *
 * Plain C is compiled for the baseline of the platform. Sums run in 16
 * independent lanes, so that the compiler may keep them in whatever vectors
 * the baseline has; the order of additions is written out and stays.
 */
#ifndef PYXGLM_SCALAR_H
#define PYXGLM_SCALAR_H

#include "../internal.h"

#define LANES 16

/* The sum of 16 lanes, by halves: 8 + 8, 4 + 4, 2 + 2, 1 + 1. */
PYXGLM_INLINE float sum_lanes(const float lane[LANES])
{
    float half[LANES / 2];
    for (int i = 0; i < LANES / 2; i++)
        half[i] = lane[i] + lane[i + LANES / 2];
    for (int width = LANES / 4; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            half[i] += half[i + width];
    return half[0];
}

/* a . b over K numbers: lane i adds up the products at i, i + 16, i + 32 ... */
PYXGLM_INLINE float dot_f32(const float *a, const float *b, int64_t K)
{
    float lane[LANES] = {0};
    int64_t k = 0;
    for (; k + LANES <= K; k += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] += a[k + i] * b[k + i];
    for (int i = 0; k + i < K; i++)
        lane[i] += a[k + i] * b[k + i];
    return sum_lanes(lane);
}

/* The kernels, by file. */
pyxglm_embed_fn pyxglm_embed_f32_scalar, pyxglm_embed_f16_scalar, pyxglm_embed_bf16_scalar;
pyxglm_layer_norm_fn pyxglm_layer_norm_scalar;
pyxglm_map_fn pyxglm_softmax_scalar, pyxglm_log_softmax_scalar;
pyxglm_exp_sum_fn pyxglm_exp_sum_scalar;
pyxglm_map_fn pyxglm_copy_scalar, pyxglm_gelu_scalar, pyxglm_gelu_tanh_scalar,
    pyxglm_relu_scalar, pyxglm_silu_scalar;
pyxglm_linear_fn pyxglm_linear_f32_scalar, pyxglm_linear_f16_scalar, pyxglm_linear_bf16_scalar,
    pyxglm_linear_i8_scalar;
pyxglm_linear_fn pyxglm_linear_coarse_f32_scalar, pyxglm_linear_coarse_f16_scalar,
    pyxglm_linear_coarse_bf16_scalar;
pyxglm_attention_fn pyxglm_attention_scalar;
pyxglm_cache_append_fn pyxglm_cache_append_scalar;

/* One activation of one number, for `linear` and the maps. */
float pyxglm_activate_scalar(float x, int64_t activation);

#endif
