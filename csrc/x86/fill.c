/* The x86 levels of the table. A level's function is called only if the CPU
 * and the operating system allow it, on a table that the level below filled. */
#include "../internal.h"
#include "x86.h"

void pyxglm_fill_avx2(pyxglm_kernels *table)
{
    (void)table;
}

void pyxglm_fill_avx512(pyxglm_kernels *table)
{
    table->linear[PYXGLM_F32] = pyxglm_linear_f32_avx512;
    table->linear[PYXGLM_F16] = pyxglm_linear_f16_avx512;
    table->linear[PYXGLM_BF16] = pyxglm_linear_bf16_avx512;
}
