/* The lowest level of the table: every entry, in plain C. */
#include "scalar.h"

void pyxglm_fill_scalar(pyxglm_kernels *table)
{
    *table = (pyxglm_kernels){
        .embed = {pyxglm_embed_f32_scalar, pyxglm_embed_f16_scalar, pyxglm_embed_bf16_scalar},
        .layer_norm = pyxglm_layer_norm_scalar,
        .softmax = pyxglm_softmax_scalar,
        .log_softmax = pyxglm_log_softmax_scalar,
        .exp_sum = pyxglm_exp_sum_scalar,
        .activation = {pyxglm_copy_scalar, pyxglm_gelu_scalar, pyxglm_gelu_tanh_scalar,
                       pyxglm_relu_scalar, pyxglm_silu_scalar},
        .linear = {pyxglm_linear_f32_scalar, pyxglm_linear_f16_scalar, pyxglm_linear_bf16_scalar,
                   pyxglm_linear_i8_scalar},
        .linear_coarse = {pyxglm_linear_coarse_f32_scalar, pyxglm_linear_coarse_f16_scalar,
                          pyxglm_linear_coarse_bf16_scalar},
        .attention = pyxglm_attention_scalar,
        .cache_append = pyxglm_cache_append_scalar,
    };
}
