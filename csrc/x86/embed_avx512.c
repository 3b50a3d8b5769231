/* hidden = embed[id] * scale + table[position + 2]. Reference: ops/reference.py, embed.
 *
 * Bound by memory: rows of the embedding come from anywhere in it. The next
 * row is asked for while this one is widened. No FMA: product and sum are
 * rounded each, so that every level gives the reference's bits. */
#include "lanes_avx512.h"
#include "x86.h"

INLINE512 void embed(const pyxglm_embed_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t D = a->D, row_bytes = D * pyxglm_itemsize(dtype);
    const __m512 scale = _mm512_set1_ps(a->scale);
    for (int64_t r = begin; r < end; r++) {
        const char *row = (const char *)a->embed + a->ids[r] * row_bytes;
        const float *place = a->table + (a->positions[r] + PYXGLM_POSITION_OFFSET) * D;
        const char *ahead = r + 1 < end ? (const char *)a->embed + a->ids[r + 1] * row_bytes : row;
        float *hidden = a->hidden + r * D;
        int64_t d = 0;
        for (; d + LANES <= D; d += LANES) {
            PYXGLM_PREFETCH(ahead + d * pyxglm_itemsize(dtype));
            const __m512 token = _mm512_mul_ps(load_weights(row, d, dtype), scale);
            _mm512_storeu_ps(hidden + d, _mm512_add_ps(token, _mm512_loadu_ps(place + d)));
        }
        if (d < D) {
            const __mmask16 mask = first_lanes(D - d);
            const __m512 token = _mm512_mul_ps(load_weights_masked(row, d, dtype, mask), scale);
            const __m512 sum = _mm512_add_ps(token, _mm512_maskz_loadu_ps(mask, place + d));
            _mm512_mask_storeu_ps(hidden + d, mask, sum);
        }
    }
}

PYXGLM_TARGET_AVX512 void pyxglm_embed_f32_avx512(const pyxglm_embed_args *a, int64_t begin,
                                                  int64_t end)
{
    embed(a, begin, end, PYXGLM_F32);
}

PYXGLM_TARGET_AVX512 void pyxglm_embed_f16_avx512(const pyxglm_embed_args *a, int64_t begin,
                                                  int64_t end)
{
    embed(a, begin, end, PYXGLM_F16);
}

PYXGLM_TARGET_AVX512 void pyxglm_embed_bf16_avx512(const pyxglm_embed_args *a, int64_t begin,
                                                   int64_t end)
{
    embed(a, begin, end, PYXGLM_BF16);
}
