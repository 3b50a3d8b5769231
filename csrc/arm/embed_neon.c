/* hidden = embed[id] * scale + table[position + 2]. Reference: ops/reference.py, embed.
 *
 * Bound by memory: rows of the embedding come from anywhere in it. The next
 * row is asked for while this one is widened. No FMA: product and sum are
 * rounded each, so that every level gives the reference's bits. */
#include "arm.h"
#include "lanes_neon.h"

#define WIDTH (4 * LANES) /* numbers of one step: half a cache line or a whole one */

PYXGLM_INLINE void embed(const pyxglm_embed_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t D = a->D, row_bytes = D * pyxglm_itemsize(dtype);
    const float32x4_t scale = vdupq_n_f32(a->scale);
    for (int64_t r = begin; r < end; r++) {
        const char *row = (const char *)a->embed + a->ids[r] * row_bytes;
        const float *place = a->table + (a->positions[r] + PYXGLM_POSITION_OFFSET) * D;
        const char *ahead = r + 1 < end ? (const char *)a->embed + a->ids[r + 1] * row_bytes : row;
        float *hidden = a->hidden + r * D;
        int64_t d = 0;
        for (; d + WIDTH <= D; d += WIDTH) {
            PYXGLM_PREFETCH(ahead + d * pyxglm_itemsize(dtype));
#pragma GCC unroll 4
            for (int64_t i = d; i < d + WIDTH; i += LANES) {
                const float32x4_t token = vmulq_f32(load_weights(row, i, dtype), scale);
                vst1q_f32(hidden + i, vaddq_f32(token, vld1q_f32(place + i)));
            }
        }
        for (; d < D; d += LANES) {
            const float32x4_t part = load_first_weights(row, d, dtype, D - d);
            const float32x4_t token = vmulq_f32(part, scale);
            store_first(hidden + d, D - d, vaddq_f32(token, load_first(place + d, D - d)));
        }
    }
}

void pyxglm_embed_f32_neon(const pyxglm_embed_args *a, int64_t begin, int64_t end)
{
    embed(a, begin, end, PYXGLM_F32);
}

void pyxglm_embed_f16_neon(const pyxglm_embed_args *a, int64_t begin, int64_t end)
{
    embed(a, begin, end, PYXGLM_F16);
}

void pyxglm_embed_bf16_neon(const pyxglm_embed_args *a, int64_t begin, int64_t end)
{
    embed(a, begin, end, PYXGLM_BF16);
}
