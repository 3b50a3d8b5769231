/* Token and position embedding. Reference: pyxglm/ops/reference.py, embed. */
#include "scalar.h"

PYXGLM_INLINE void embed(const pyxglm_embed_args *a, int64_t begin, int64_t end, int dtype)
{
    for (int64_t r = begin; r < end; r++) {
        const char *token = (const char *)a->embed + a->ids[r] * a->D * pyxglm_itemsize(dtype);
        const float *place = a->table + (a->positions[r] + PYXGLM_POSITION_OFFSET) * a->D;
        float *hidden = a->hidden + r * a->D;
        for (int64_t d = 0; d < a->D; d++)
            hidden[d] = pyxglm_weight(token, d, dtype) * a->scale + place[d];
    }
}

void pyxglm_embed_f32_scalar(const pyxglm_embed_args *a, int64_t begin, int64_t end)
{
    embed(a, begin, end, PYXGLM_F32);
}

void pyxglm_embed_f16_scalar(const pyxglm_embed_args *a, int64_t begin, int64_t end)
{
    embed(a, begin, end, PYXGLM_F16);
}

void pyxglm_embed_bf16_scalar(const pyxglm_embed_args *a, int64_t begin, int64_t end)
{
    embed(a, begin, end, PYXGLM_BF16);
}
