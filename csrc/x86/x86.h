/* x86.h - the kernels of this folder, by file. */
#ifndef PYXGLM_X86_KERNELS_H
#define PYXGLM_X86_KERNELS_H

#include "../pyxglm.h"

pyxglm_linear_fn pyxglm_linear_f32_avx512, pyxglm_linear_f16_avx512, pyxglm_linear_bf16_avx512;

#endif
