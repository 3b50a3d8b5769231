/* What this CPU, and this operating system, can do.
 *
 * Nothing here may use an instruction that it asks about: this file, like all
 * others, is compiled for the platform's baseline.
 *
 * CPUID alone is not enough. It tells what the silicon has; whether the
 * operating system saves the wide registers when it switches threads stands in
 * XCR0. Where it does not (old kernels, some hypervisors and emulators), the
 * instructions fault or lose data. Tiles need one thing more: Linux gives them
 * to processes that ask, and may refuse. CPUID's leaves 0x1d and 0x1e, which
 * describe tiles, are not read: some hypervisors offer tiles and zero them.
 */
#include "internal.h"

/* CPUID leaf 1, ecx. */
#define FMA (1u << 12)
#define OSXSAVE (1u << 27)
#define AVX (1u << 28)
#define F16C (1u << 29)

/* CPUID leaf 7, ebx. */
#define AVX2 (1u << 5)
#define AVX512F (1u << 16)
#define AVX512DQ (1u << 17)
#define AVX512BW (1u << 30)
#define AVX512VL (1u << 31)

/* CPUID leaf 7, edx. */
#define AMX_BF16 (1u << 22)
#define AMX_TILE (1u << 24)

/* CPUID leaf 7, subleaf 1, eax. */
#define AVX512_BF16 (1u << 5)

/* XCR0. */
#define XMM_YMM 0x06u
#define XMM_YMM_ZMM 0xe6u /* and the mask registers */
#define TILES 0x60000u    /* their configuration and their data */

static int has_all(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

int pyxglm_cpu_allows(int level, uint32_t leaf1_ecx, uint32_t leaf7_ebx, uint32_t leaf7_edx,
                      uint64_t xcr0)
{
    const int avx2 = has_all(leaf1_ecx, OSXSAVE | AVX | FMA | F16C) &&
                     has_all(leaf7_ebx, AVX2) && has_all(xcr0, XMM_YMM);
    const int avx512 = avx2 && has_all(leaf7_ebx, AVX512F | AVX512DQ | AVX512BW | AVX512VL) &&
                       has_all(xcr0, XMM_YMM_ZMM);
    switch (level) {
    case PYXGLM_SCALAR: return 1;
    case PYXGLM_AVX2: return avx2;
    case PYXGLM_AVX512: return avx512;
    case PYXGLM_AMX:
        return avx512 && has_all(leaf7_edx, AMX_TILE | AMX_BF16) && has_all(xcr0, TILES);
    default: return 0;
    }
}

int pyxglm_cpu_allows_bf16_pairs(uint32_t leaf1_ecx, uint32_t leaf7_ebx, uint32_t leaf7_edx,
                                 uint32_t leaf7_1_eax, uint64_t xcr0)
{
    return pyxglm_cpu_allows(PYXGLM_AVX512, leaf1_ecx, leaf7_ebx, leaf7_edx, xcr0) &&
           has_all(leaf7_1_eax, AVX512_BF16);
}

int pyxglm_bf16_pairs(void)
{
#if PYXGLM_X86 && !defined(PYXGLM_WITHOUT_BF16_PAIRS)
    uint32_t leaf1[4], leaf7[4], leaf7_1[4];
    pyxglm_cpuid(1, 0, leaf1);
    pyxglm_cpuid(7, 0, leaf7);
    pyxglm_cpuid(7, 1, leaf7_1);
    const uint64_t xcr0 = leaf1[2] & OSXSAVE ? pyxglm_xgetbv() : 0;
    /* Leaf 7's eax says how many subleaves there are. */
    return leaf7[0] >= 1 &&
           pyxglm_cpu_allows_bf16_pairs(leaf1[2], leaf7[1], leaf7[3], leaf7_1[0], xcr0);
#else
    return 0;
#endif
}

int pyxglm_cpu_has(int level)
{
#if PYXGLM_X86
    uint32_t leaf1[4], leaf7[4];
    pyxglm_cpuid(1, 0, leaf1);
    pyxglm_cpuid(7, 0, leaf7);
    const uint64_t xcr0 = leaf1[2] & OSXSAVE ? pyxglm_xgetbv() : 0;
#ifdef PYXGLM_EMULATE_AMX
    if (level == PYXGLM_AMX)
        return pyxglm_cpu_allows(PYXGLM_AVX512, leaf1[2], leaf7[1], leaf7[3], xcr0);
#endif
    return pyxglm_cpu_allows(level, leaf1[2], leaf7[1], leaf7[3], xcr0) &&
           (level != PYXGLM_AMX || pyxglm_may_use_tiles());
#else
    /* NEON is the baseline of aarch64: there is nothing to ask. */
    return level == PYXGLM_SCALAR || (PYXGLM_ARM && level == PYXGLM_NEON);
#endif
}
