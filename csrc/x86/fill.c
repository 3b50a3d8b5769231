/* The x86 levels of the table. A level's function is called only if the CPU
 * and the operating system allow it, on a table that the level below filled. */
#include "../internal.h"
#include "x86.h"

void pyxglm_fill_avx2(pyxglm_kernels *table)
{
    table->embed[PYXGLM_F32] = pyxglm_embed_f32_avx2;
    table->embed[PYXGLM_F16] = pyxglm_embed_f16_avx2;
    table->embed[PYXGLM_BF16] = pyxglm_embed_bf16_avx2;
    table->layer_norm = pyxglm_layer_norm_avx2;
    table->softmax = pyxglm_softmax_avx2;
    table->log_softmax = pyxglm_log_softmax_avx2;
    table->activation[PYXGLM_GELU] = pyxglm_gelu_avx2;
    table->activation[PYXGLM_GELU_TANH] = pyxglm_gelu_tanh_avx2;
    table->activation[PYXGLM_RELU] = pyxglm_relu_avx2;
    table->activation[PYXGLM_SILU] = pyxglm_silu_avx2;
    table->exp_sum = pyxglm_exp_sum_avx2;
    table->linear[PYXGLM_F32] = pyxglm_linear_f32_avx2;
    table->linear[PYXGLM_F16] = pyxglm_linear_f16_avx2;
    table->linear[PYXGLM_BF16] = pyxglm_linear_bf16_avx2;
    table->linear[PYXGLM_I8] = pyxglm_linear_i8_avx2;
    table->linear_coarse[PYXGLM_F32] = pyxglm_linear_coarse_f32_avx2;
    table->linear_coarse[PYXGLM_F16] = pyxglm_linear_coarse_f16_avx2;
    table->linear_coarse[PYXGLM_BF16] = pyxglm_linear_coarse_bf16_avx2;
    table->attention = pyxglm_attention_avx2;
}

/* Embedding and ReLU stay with AVX2: memory bounds them, and half as wide they
 * are as fast or faster (Zen 4: embed of fp16 80 against 93 us, ReLU 55 against 68). */
void pyxglm_fill_avx512(pyxglm_kernels *table)
{
    table->layer_norm = pyxglm_layer_norm_avx512;
    table->softmax = pyxglm_softmax_avx512;
    table->log_softmax = pyxglm_log_softmax_avx512;
    table->activation[PYXGLM_GELU] = pyxglm_gelu_avx512;
    table->activation[PYXGLM_GELU_TANH] = pyxglm_gelu_tanh_avx512;
    table->activation[PYXGLM_SILU] = pyxglm_silu_avx512;
    table->exp_sum = pyxglm_exp_sum_avx512;
    table->linear[PYXGLM_F32] = pyxglm_linear_f32_avx512;
    table->linear[PYXGLM_F16] = pyxglm_linear_f16_avx512;
    table->linear[PYXGLM_BF16] = pyxglm_linear_bf16_avx512;
    table->linear[PYXGLM_I8] = pyxglm_linear_i8_avx512;
    const int pairs = pyxglm_bf16_pairs(); /* no level of its own: one operation has it */
    table->linear_coarse[PYXGLM_F32] =
        pairs ? pyxglm_linear_coarse_f32_avx512_bf16 : pyxglm_linear_coarse_f32_avx512;
    table->linear_coarse[PYXGLM_F16] =
        pairs ? pyxglm_linear_coarse_f16_avx512_bf16 : pyxglm_linear_coarse_f16_avx512;
    table->linear_coarse[PYXGLM_BF16] =
        pairs ? pyxglm_linear_coarse_bf16_avx512_bf16 : pyxglm_linear_coarse_bf16_avx512;
    table->attention = pyxglm_attention_avx512;
}

/* Exact products of float32 weights stay on vectors: they would need three
 * parts and six to nine products. So does all that is no product of matrices. */
void pyxglm_fill_amx(pyxglm_kernels *table)
{
    table->linear_coarse[PYXGLM_F32] = pyxglm_linear_coarse_f32_amx;
    table->linear_coarse[PYXGLM_F16] = pyxglm_linear_coarse_f16_amx;
    table->linear_coarse[PYXGLM_BF16] = pyxglm_linear_coarse_bf16_amx;
    table->linear[PYXGLM_F16] = pyxglm_linear_f16_amx;
    table->linear[PYXGLM_BF16] = pyxglm_linear_bf16_amx;
}
