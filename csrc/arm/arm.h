/* arm.h - the kernels of this folder, by file. */
#ifndef PYXGLM_ARM_KERNELS_H
#define PYXGLM_ARM_KERNELS_H

#include "../pyxglm.h"

pyxglm_embed_fn pyxglm_embed_f32_neon, pyxglm_embed_f16_neon, pyxglm_embed_bf16_neon;
pyxglm_layer_norm_fn pyxglm_layer_norm_neon;
pyxglm_map_fn pyxglm_softmax_neon, pyxglm_log_softmax_neon;
pyxglm_map_fn pyxglm_gelu_neon, pyxglm_gelu_tanh_neon, pyxglm_relu_neon, pyxglm_silu_neon;
pyxglm_exp_sum_fn pyxglm_exp_sum_neon;
pyxglm_linear_fn pyxglm_linear_f32_neon, pyxglm_linear_f16_neon, pyxglm_linear_bf16_neon,
    pyxglm_linear_i8_neon;
pyxglm_linear_fn pyxglm_linear_coarse_f32_neon, pyxglm_linear_coarse_f16_neon,
    pyxglm_linear_coarse_bf16_neon;
pyxglm_attention_fn pyxglm_attention_neon;

#endif
