/* hidden = embed[id] * scale + table[position + 2]. Reference: ops/reference.py, embed.
 *
 * Bound by memory: rows of the embedding come from anywhere in it. The next
 * row is asked for while this one is widened. No FMA: product and sum are
 * rounded each, so that every level gives the reference's bits. */
#include "lanes_avx2.h"
#include "x86.h"

INLINE256 void embed(const pyxglm_embed_args *a, int64_t begin, int64_t end, int dtype)
{
    const int64_t D = a->D, row_bytes = D * pyxglm_itemsize(dtype);
    const __m256 scale = _mm256_set1_ps(a->scale);
    for (int64_t r = begin; r < end; r++) {
        const char *row = (const char *)a->embed + a->ids[r] * row_bytes;
        const float *place = a->table + (a->positions[r] + PYXGLM_POSITION_OFFSET) * D;
        const char *ahead = r + 1 < end ? (const char *)a->embed + a->ids[r + 1] * row_bytes : row;
        float *hidden = a->hidden + r * D;
        int64_t d = 0;
        for (; d + LANES <= D; d += LANES) {
            PYXGLM_PREFETCH(ahead + d * pyxglm_itemsize(dtype));
            const __m256 token = _mm256_mul_ps(load_weights(row, d, dtype), scale);
            _mm256_storeu_ps(hidden + d, _mm256_add_ps(token, _mm256_loadu_ps(place + d)));
        }
        if (d < D) {
            const __m256 token = _mm256_mul_ps(load_first_weights(row, d, dtype, D - d), scale);
            store_first(hidden + d, D - d, _mm256_add_ps(token, load_first(place + d, D - d)));
        }
    }
}

PYXGLM_TARGET_AVX2 void pyxglm_embed_f32_avx2(const pyxglm_embed_args *a, int64_t begin,
                                                  int64_t end)
{
    embed(a, begin, end, PYXGLM_F32);
}

PYXGLM_TARGET_AVX2 void pyxglm_embed_f16_avx2(const pyxglm_embed_args *a, int64_t begin,
                                                  int64_t end)
{
    embed(a, begin, end, PYXGLM_F16);
}

PYXGLM_TARGET_AVX2 void pyxglm_embed_bf16_avx2(const pyxglm_embed_args *a, int64_t begin,
                                                   int64_t end)
{
    embed(a, begin, end, PYXGLM_BF16);
}
