/* portability.h - everything that is not plain C11, in one place.
 *
 * gcc and clang are supported. Another compiler needs its own spelling of the
 * macros below, and nothing else.
 */
#ifndef PYXGLM_PORTABILITY_H
#define PYXGLM_PORTABILITY_H

#if !defined(__GNUC__)
#error "pyxglm's C kernels are built with gcc or clang"
#endif

/* POSIX beside C11: threads, clocks, aligned memory. It has to be said before
 * the first system header, so this file is included first everywhere. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <float.h>
#include <stdint.h>

/* A float operation has to give a float: errors are derived from that, and a shortlist's
 * intervals believe it. (16 says so, too, of a type beside it.) */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "floats are not computed as floats here; on 32-bit x86, set CFLAGS='-msse2 -mfpmath=sse'"
#endif

/* Processor families that have kernels of their own. */
#if defined(__x86_64__)
#define PYXGLM_X86 1
#else
#define PYXGLM_X86 0
#endif
#if defined(__aarch64__) && !defined(__AARCH64EB__) /* lanes are loaded as bytes */
#define PYXGLM_ARM 1
#else
#define PYXGLM_ARM 0
#endif

#define PYXGLM_INLINE static inline __attribute__((always_inline))
#define PYXGLM_NOINLINE __attribute__((noinline))
#define PYXGLM_UNUSED __attribute__((unused))

/* Four floats, which every 64-bit CPU computes at once, where the compiler's choice of
 * vectors is what is not wanted. */
typedef float pyxglm_f32x4 __attribute__((vector_size(16)));

/* The instructions a function may use. They stand on single functions, never
 * on the command line: with a global flag the compiler would be free to put
 * such instructions before the check that the CPU has them. */
#define PYXGLM_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define PYXGLM_TARGET_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define PYXGLM_TARGET_AVX512_BF16 \
    __attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))

/* Tiles have no attribute in compilers before gcc 11. They are written in
 * assembly (x86/amx.h), for which gcc asks for none. */
#if defined(__clang__)
#define PYXGLM_TARGET_AMX \
    __attribute__(( \
        target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#else
#define PYXGLM_TARGET_AMX PYXGLM_TARGET_AVX512
#endif

/* NEON needs no such attribute: it is part of what every aarch64 has. */

/* Read ahead: into all caches, or into L2 and out of the way of L1; and what will
 * be written. */
#define PYXGLM_PREFETCH(p) __builtin_prefetch((p), 0, 3)
#define PYXGLM_PREFETCH_TO_WRITE(p) __builtin_prefetch((p), 1, 3)
#define PYXGLM_PREFETCH_L2(p) __builtin_prefetch((p), 0, 2)

/* A hint that this is a wait in a loop: saves power, frees a sibling thread. */
#if PYXGLM_X86
#define PYXGLM_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PYXGLM_PAUSE() __asm__ volatile("isb" ::: "memory")
#else
#define PYXGLM_PAUSE() ((void)0)
#endif

/* How a thread computes: rounding, what becomes of subnormals, what traps. Not what has
 * happened so far. */
#if PYXGLM_X86
PYXGLM_INLINE uint64_t pyxglm_float_mode(void)
{
    return __builtin_ia32_stmxcsr() & ~0x3fu;
}

PYXGLM_INLINE void pyxglm_set_float_mode(uint64_t mode)
{
    __builtin_ia32_ldmxcsr((uint32_t)mode);
}
#elif defined(__aarch64__)
PYXGLM_INLINE uint64_t pyxglm_float_mode(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}

PYXGLM_INLINE void pyxglm_set_float_mode(uint64_t mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
PYXGLM_INLINE uint64_t pyxglm_float_mode(void)
{
    return 0; /* not known here: workers have their own */
}

PYXGLM_INLINE void pyxglm_set_float_mode(uint64_t mode)
{
    (void)mode;
}
#endif

/* Makes the compiler hold a vector in a register from here on. Without it, gcc
 * for x86 loads a value that came from memory again at each use where it can;
 * and compilers for ARM begin so much at once that sums lose their registers:
 * `volatile` keeps what is marked in its order. */
#if PYXGLM_X86
#define PYXGLM_IN_REGISTER(x) __asm__("" : "+x"(x))
#elif PYXGLM_ARM
#define PYXGLM_IN_REGISTER(x) __asm__ volatile("" : "+w"(x))
#endif

#if PYXGLM_X86
#include <cpuid.h>

/* CPUID: eax, ebx, ecx, edx. All 0 if there is no such leaf. */
PYXGLM_INLINE void pyxglm_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    out[0] = out[1] = out[2] = out[3] = 0;
    __get_cpuid_count(leaf, subleaf, out, out + 1, out + 2, out + 3);
}

/* XCR0: the register sets that the operating system saves for each thread.
 * Only to be executed if CPUID says OSXSAVE. */
PYXGLM_INLINE uint64_t pyxglm_xgetbv(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Asks the system to let this process, with all its threads, use tiles, whose
 * 8 KiB it must then save at each switch. Linux grants it to who asks; other
 * systems have no such call here, and so no tiles. The C library has no
 * function for it, and syscall() is no part of POSIX. */
PYXGLM_INLINE int pyxglm_may_use_tiles(void)
{
#if defined(__linux__)
    enum { ARCH_PRCTL = 158, GET_PERMISSION = 0x1022, ASK_PERMISSION = 0x1023, TILE_DATA = 18 };
    uint64_t granted = 0;
    long code = ARCH_PRCTL;
    __asm__ volatile("syscall"
                     : "+a"(code)
                     : "D"((long)ASK_PERMISSION), "S"((long)TILE_DATA)
                     : "rcx", "r11", "memory");
    if (code)
        return 0;
    code = ARCH_PRCTL;
    __asm__ volatile("syscall"
                     : "+a"(code)
                     : "D"((long)GET_PERMISSION), "S"(&granted)
                     : "rcx", "r11", "memory");
    return !code && granted >> TILE_DATA & 1;
#else
    return 0;
#endif
}
#endif

#endif
