/* x86.h - the kernels of this folder, by file. */
#ifndef PYXGLM_X86_KERNELS_H
#define PYXGLM_X86_KERNELS_H

#include "../pyxglm.h"

pyxglm_embed_fn pyxglm_embed_f32_avx2, pyxglm_embed_f16_avx2, pyxglm_embed_bf16_avx2;
pyxglm_layer_norm_fn pyxglm_layer_norm_avx2;
pyxglm_map_fn pyxglm_softmax_avx2, pyxglm_log_softmax_avx2;
pyxglm_map_fn pyxglm_gelu_avx2, pyxglm_gelu_tanh_avx2, pyxglm_relu_avx2, pyxglm_silu_avx2;
pyxglm_exp_sum_fn pyxglm_exp_sum_avx2;
pyxglm_linear_fn pyxglm_linear_f32_avx2, pyxglm_linear_f16_avx2, pyxglm_linear_bf16_avx2,
    pyxglm_linear_i8_avx2;
pyxglm_linear_fn pyxglm_linear_coarse_f32_avx2, pyxglm_linear_coarse_f16_avx2,
    pyxglm_linear_coarse_bf16_avx2;
pyxglm_attention_fn pyxglm_attention_avx2;

pyxglm_layer_norm_fn pyxglm_layer_norm_avx512;
pyxglm_map_fn pyxglm_softmax_avx512, pyxglm_log_softmax_avx512;
pyxglm_map_fn pyxglm_gelu_avx512, pyxglm_gelu_tanh_avx512, pyxglm_silu_avx512;
pyxglm_exp_sum_fn pyxglm_exp_sum_avx512;
pyxglm_linear_fn pyxglm_linear_f32_avx512, pyxglm_linear_f16_avx512, pyxglm_linear_bf16_avx512,
    pyxglm_linear_i8_avx512;
pyxglm_linear_fn pyxglm_linear_coarse_f32_avx512, pyxglm_linear_coarse_f16_avx512,
    pyxglm_linear_coarse_bf16_avx512;
pyxglm_attention_fn pyxglm_attention_avx512;

/* AVX-512 with pairs of bfloat16. */
pyxglm_linear_fn pyxglm_linear_coarse_f32_avx512_bf16, pyxglm_linear_coarse_f16_avx512_bf16,
    pyxglm_linear_coarse_bf16_avx512_bf16;

pyxglm_linear_fn pyxglm_linear_f16_amx, pyxglm_linear_bf16_amx;
pyxglm_linear_fn pyxglm_linear_coarse_f32_amx, pyxglm_linear_coarse_f16_amx,
    pyxglm_linear_coarse_bf16_amx;

#endif
