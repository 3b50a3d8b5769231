/* What this machine can do at most: kernels are measured against it.
 *
 * Reading memory with the widest loads of a level, and multiplying and adding
 * in registers, on as many independent sums as hide the latency. */
#include "internal.h"

#if PYXGLM_X86
#include <immintrin.h>
#elif PYXGLM_ARM
#include <arm_neon.h>
#endif

/* Where tiles are emulated, they have no limit worth knowing. */
#if PYXGLM_X86 && !defined(PYXGLM_EMULATE_AMX)
#define TILES 1
#include "x86/amx.h"
#endif

#define SUMS 16 /* independent sums: at least latency (4) x units (2), and in registers */

/* Where sums go, so that the compiler cannot leave them out. */
static volatile float sink;

static float read_scalar(const float *p, int64_t count)
{
    float sum[SUMS] = {0};
    for (int64_t i = 0; i + SUMS <= count; i += SUMS)
        for (int j = 0; j < SUMS; j++)
            sum[j] += p[i + j];
    for (int j = 1; j < SUMS; j++)
        sum[0] += sum[j];
    return sum[0];
}

/* What plain C can be compiled to: a multiplication and an addition on four lanes. With a
 * factor and a term 14 of 16 registers are in use. */
static int64_t fma_scalar(int64_t rounds)
{
    pyxglm_f32x4 sum[12];
    const pyxglm_f32x4 factor = {0.999f, 0.999f, 0.999f, 0.999f};
    const pyxglm_f32x4 term = {0.001f, 0.001f, 0.001f, 0.001f};
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++)
        sum[j] = (pyxglm_f32x4){(float)j, 0.0f, 0.0f, 0.0f}; /* equal sums would be one */
    for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++)
            sum[j] = sum[j] * factor + term;
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++)
        sink = sum[j][0];
    return rounds * 12 * 4 * 2;
}

#if PYXGLM_X86
PYXGLM_TARGET_AVX2 static float read_avx2(const float *p, int64_t count)
{
    __m256 sum_f32x8[8];
    for (int j = 0; j < 8; j++)
        sum_f32x8[j] = _mm256_setzero_ps();
    for (int64_t i = 0; i + 64 <= count; i += 64)
        for (int j = 0; j < 8; j++)
            sum_f32x8[j] = _mm256_add_ps(sum_f32x8[j], _mm256_loadu_ps(p + i + 8 * j));
    for (int j = 1; j < 8; j++)
        sum_f32x8[0] = _mm256_add_ps(sum_f32x8[0], sum_f32x8[j]);
    float lanes[8];
    _mm256_storeu_ps(lanes, sum_f32x8[0]);
    return lanes[0] + lanes[7];
}

PYXGLM_TARGET_AVX2 static int64_t fma_avx2(int64_t rounds)
{
    __m256 sum_f32x8[12];
    const __m256 factor_f32x8 = _mm256_set1_ps(0.999f), term_f32x8 = _mm256_set1_ps(0.001f);
    for (int j = 0; j < 12; j++)
        sum_f32x8[j] = _mm256_setzero_ps();
    for (int64_t i = 0; i < rounds; i++)
        for (int j = 0; j < 12; j++)
            sum_f32x8[j] = _mm256_fmadd_ps(sum_f32x8[j], factor_f32x8, term_f32x8);
    for (int j = 0; j < 12; j++)
        sink = _mm256_cvtss_f32(sum_f32x8[j]);
    return rounds * 12 * 8 * 2;
}

PYXGLM_TARGET_AVX512 static float read_avx512(const float *p, int64_t count)
{
    __m512 sum_f32x16[8];
    for (int j = 0; j < 8; j++)
        sum_f32x16[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i + 128 <= count; i += 128)
        for (int j = 0; j < 8; j++)
            sum_f32x16[j] = _mm512_add_ps(sum_f32x16[j], _mm512_loadu_ps(p + i + 16 * j));
    for (int j = 1; j < 8; j++)
        sum_f32x16[0] = _mm512_add_ps(sum_f32x16[0], sum_f32x16[j]);
    float lanes[16];
    _mm512_storeu_ps(lanes, sum_f32x16[0]);
    return lanes[0] + lanes[15];
}

PYXGLM_TARGET_AVX512 static int64_t fma_avx512(int64_t rounds)
{
    __m512 sum_f32x16[SUMS];
    const __m512 factor_f32x16 = _mm512_set1_ps(0.999f), term_f32x16 = _mm512_set1_ps(0.001f);
    for (int j = 0; j < SUMS; j++)
        sum_f32x16[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < rounds; i++)
        for (int j = 0; j < SUMS; j++)
            sum_f32x16[j] = _mm512_fmadd_ps(sum_f32x16[j], factor_f32x16, term_f32x16);
    for (int j = 0; j < SUMS; j++)
        sink = _mm512_cvtss_f32(sum_f32x16[j]);
    return rounds * SUMS * 16 * 2;
}

/* Pairs of bfloat16; an instruction waits up to 6 cycles for its sum. */
PYXGLM_TARGET_AVX512_BF16 static int64_t pairs_avx512(int64_t rounds)
{
    __m512 sum_f32x16[24];
    const __m512bh factor_bf16x32 = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
#pragma GCC unroll 24
    for (int j = 0; j < 24; j++)
        sum_f32x16[j] = _mm512_set1_ps((float)j); /* equal sums would be one */
    for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 24
        for (int j = 0; j < 24; j++)
            sum_f32x16[j] = _mm512_dpbf16_ps(sum_f32x16[j], factor_bf16x32, factor_bf16x32);
#pragma GCC unroll 24
    for (int j = 0; j < 24; j++)
        sink = _mm512_cvtss_f32(sum_f32x16[j]);
    return rounds * 24 * 32 * 2;
}

#ifdef TILES
/* Products of tiles, four sums at a time: a product takes the unit 16 cycles,
 * its sum 52. */
PYXGLM_TARGET_AMX static int64_t products_amx(int64_t rounds)
{
    float sums[16][16] = {{0}};
    tiles_begin(); /* all tiles are 0 */
    for (int64_t i = 0; i < rounds; i++) {
        TILE_PRODUCT(0, 4, 5);
        TILE_PRODUCT(1, 4, 5);
        TILE_PRODUCT(2, 4, 5);
        TILE_PRODUCT(3, 4, 5);
    }
    TILE_STORE(0, sums, 64);
    tiles_end();
    sink = sums[0][0];
    return rounds * 4 * 16 * 16 * 32 * 2;
}
#endif
#endif

#if PYXGLM_ARM
static float read_neon(const float *p, int64_t count)
{
    float32x4_t sum_f32x4[8];
    for (int j = 0; j < 8; j++)
        sum_f32x4[j] = vdupq_n_f32(0.0f);
    for (int64_t i = 0; i + 32 <= count; i += 32)
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            sum_f32x4[j] = vaddq_f32(sum_f32x4[j], vld1q_f32(p + i + 4 * j));
    for (int j = 1; j < 8; j++)
        sum_f32x4[0] = vaddq_f32(sum_f32x4[0], sum_f32x4[j]);
    return vaddvq_f32(sum_f32x4[0]);
}

/* 24 sums: some CPUs have four units with a latency of 4. The instruction adds
 * a product to its sum, so that is what is done here. */
static int64_t fma_neon(int64_t rounds)
{
    float32x4_t sum_f32x4[24];
    const float32x4_t factor_f32x4 = vdupq_n_f32(0.999f), term_f32x4 = vdupq_n_f32(0.001f);
#pragma GCC unroll 24
    for (int j = 0; j < 24; j++)
        sum_f32x4[j] = vdupq_n_f32((float)j);
    for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 24
        for (int j = 0; j < 24; j++)
            sum_f32x4[j] = vfmaq_f32(sum_f32x4[j], factor_f32x4, term_f32x4);
#pragma GCC unroll 24
    for (int j = 0; j < 24; j++)
        sink = vaddvq_f32(sum_f32x4[j]);
    return rounds * 24 * 4 * 2;
}
#endif

float pyxglm_limit_read(const float *p, int64_t count, int level)
{
#if PYXGLM_X86
    if (level >= PYXGLM_AVX512 && level != PYXGLM_NEON && pyxglm_cpu_has(PYXGLM_AVX512))
        return read_avx512(p, count);
    if (level == PYXGLM_AVX2 && pyxglm_cpu_has(PYXGLM_AVX2))
        return read_avx2(p, count);
#elif PYXGLM_ARM
    if (level == PYXGLM_NEON)
        return read_neon(p, count);
#endif
    (void)level;
    return read_scalar(p, count);
}

int64_t pyxglm_limit_fma(int64_t rounds, int level)
{
#if PYXGLM_X86
#ifdef TILES
    if (level == PYXGLM_AMX && pyxglm_level_available(PYXGLM_AMX))
        return products_amx(rounds);
#endif
    if (level >= PYXGLM_AVX512 && level != PYXGLM_NEON && pyxglm_cpu_has(PYXGLM_AVX512))
        return fma_avx512(rounds);
    if (level == PYXGLM_AVX2 && pyxglm_cpu_has(PYXGLM_AVX2))
        return fma_avx2(rounds);
#elif PYXGLM_ARM
    if (level == PYXGLM_NEON)
        return fma_neon(rounds);
#endif
    (void)level;
    return fma_scalar(rounds);
}

int64_t pyxglm_limit_bf16_pairs(int64_t rounds)
{
#if PYXGLM_X86
    if (pyxglm_bf16_pairs())
        return pairs_avx512(rounds);
#endif
    (void)rounds;
    return 0;
}
