/* The level `neon` of the table: called on a table that plain C has filled. */
#include "../internal.h"
#include "arm.h"

void pyxglm_fill_neon(pyxglm_kernels *table)
{
    table->embed[PYXGLM_F32] = pyxglm_embed_f32_neon;
    table->embed[PYXGLM_F16] = pyxglm_embed_f16_neon;
    table->embed[PYXGLM_BF16] = pyxglm_embed_bf16_neon;
    table->layer_norm = pyxglm_layer_norm_neon;
    table->softmax = pyxglm_softmax_neon;
    table->log_softmax = pyxglm_log_softmax_neon;
    table->activation[PYXGLM_GELU] = pyxglm_gelu_neon;
    table->activation[PYXGLM_GELU_TANH] = pyxglm_gelu_tanh_neon;
    table->activation[PYXGLM_RELU] = pyxglm_relu_neon;
    table->activation[PYXGLM_SILU] = pyxglm_silu_neon;
    table->exp_sum = pyxglm_exp_sum_neon;
    table->linear[PYXGLM_F32] = pyxglm_linear_f32_neon;
    table->linear[PYXGLM_F16] = pyxglm_linear_f16_neon;
    table->linear[PYXGLM_BF16] = pyxglm_linear_bf16_neon;
    table->linear[PYXGLM_I8] = pyxglm_linear_i8_neon;
    table->linear_coarse[PYXGLM_F32] = pyxglm_linear_coarse_f32_neon;
    table->linear_coarse[PYXGLM_F16] = pyxglm_linear_coarse_f16_neon;
    table->linear_coarse[PYXGLM_BF16] = pyxglm_linear_coarse_bf16_neon;
    table->attention = pyxglm_attention_neon;
}
