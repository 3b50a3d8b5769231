/* internal.h - what the C files share and no caller sees.
 *
 * Contents: block sizes that are part of the arithmetic, stored numbers,
 * the task grid of attention, the thread pool, and the functions that fill
 * the table of kernels.
 */
#ifndef PYXGLM_INTERNAL_H
#define PYXGLM_INTERNAL_H

#include "portability.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pyxglm.h"

/* === Constants of the arithmetic ========================================= */

#define PYXGLM_LAYER_NORM_EPS 1e-5f
#define PYXGLM_POSITION_OFFSET 2 /* position p reads row p + 2 of the table */

/* Attention folds keys into its running softmax by blocks of this many
 * *visible* keys. It is arithmetic, not tuning: it decides where the sums are
 * rescaled, so it is one constant for all lengths, masks and batches. */
#define PYXGLM_KEY_BLOCK 64

/* Outputs of `linear` are handed to threads in multiples of this, so that a
 * kernel's tiles stay whole; the second, for kernels of the amx level. Tuning: no
 * result depends on it. */
#define PYXGLM_LINEAR_TILE 16
#define PYXGLM_LINEAR_TILE_AMX 32

/* Queries of a task. Tuning: no result depends on it. */
#define PYXGLM_QUERY_BLOCK 64

/* === Numbers ============================================================= */

PYXGLM_INLINE int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

PYXGLM_INLINE int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* === Stored numbers ====================================================== */

/* Weights are mapped from files, at any address: they are read by memcpy,
 * which compiles to one load. */
PYXGLM_INLINE float pyxglm_load_f32(const void *p)
{
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}

PYXGLM_INLINE uint16_t pyxglm_load_u16(const void *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

PYXGLM_INLINE float pyxglm_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* bfloat16 is the upper half of a float32. */
PYXGLM_INLINE float pyxglm_widen_bf16(uint16_t bits)
{
    return pyxglm_float_of_bits((uint32_t)bits << 16);
}

/* float16 has 5 exponent bits of bias 15, float32 has 8 of bias 127. Shifting
 * the 15 bits into place leaves an exponent that is 112 too small; multiplying
 * by 2^112 mends it, and normalises the subnormals on the way, exactly. Only
 * infinity and NaN (exponent 31) need their exponent set by hand. */
PYXGLM_INLINE float pyxglm_widen_f16(uint16_t bits)
{
    const uint32_t magnitude = (uint32_t)(bits & 0x7fffu) << 13;
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    const float scaled = pyxglm_float_of_bits(magnitude) * 0x1p112f;
    uint32_t wide;
    memcpy(&wide, &scaled, sizeof wide);
    wide = (bits & 0x7c00u) == 0x7c00u ? (magnitude | 0x7f800000u) : wide;
    return pyxglm_float_of_bits(wide | sign);
}

/* Added to a stored dtype where kernels are written once for the exact and the
 * coarse product: weights are rounded to bfloat16 as they are read. Those that
 * are stored so need no rounding. */
#define PYXGLM_ROUNDED 4
#define PYXGLM_STORED(dtype) ((dtype) & 3)

/* To nearest, ties to even, as bfloat16. Adding 0x7fff, and 1 if what is kept
 * is odd, carries into it when what is dropped is more than half of its last
 * place, or half and the kept part odd. The largest floats become infinite. A
 * NaN might be carried over: it stays one, made quiet. */
PYXGLM_INLINE float pyxglm_round_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    return pyxglm_float_of_bits((x != x ? bits | 0x400000u : rounded) & 0xffff0000u);
}

/* Bytes of one stored number. */
PYXGLM_INLINE int64_t pyxglm_itemsize(int dtype)
{
    return PYXGLM_STORED(dtype) == PYXGLM_F32 ? 4 : PYXGLM_STORED(dtype) == PYXGLM_I8 ? 1 : 2;
}

/* Weight i of an array stored as `dtype`. With a constant dtype the choices
 * disappear when this is inlined. */
PYXGLM_INLINE float pyxglm_weight(const void *w, int64_t i, int dtype)
{
    const char *p = (const char *)w + i * pyxglm_itemsize(dtype);
    float x;
    if (PYXGLM_STORED(dtype) == PYXGLM_F32)
        x = pyxglm_load_f32(p);
    else if (PYXGLM_STORED(dtype) == PYXGLM_F16)
        x = pyxglm_widen_f16(pyxglm_load_u16(p));
    else if (PYXGLM_STORED(dtype) == PYXGLM_I8)
        x = (float)*(const int8_t *)p;
    else
        x = pyxglm_widen_bf16(pyxglm_load_u16(p));
    return dtype & PYXGLM_ROUNDED ? pyxglm_round_bf16(x) : x;
}

/* Floats from row to row in a copy of x for kernels on vectors (`packed` of the
 * arguments): whole cache lines, and an odd number of them, so that rows begin in
 * different sets of a cache. */
PYXGLM_INLINE int64_t pyxglm_spread_stride(int64_t K)
{
    return ((K + 15) / 16 | 1) * 16;
}

/* The arguments of a coarse product as those of a kernel that reads x. */
PYXGLM_INLINE pyxglm_linear_args pyxglm_of_rounded(const pyxglm_linear_args *a)
{
    pyxglm_linear_args of_rounded = *a;
    of_rounded.x = a->rounded;
    return of_rounded;
}

/* === The task grid of attention ========================================== */

/* A task is one head of one sequence and at most PYXGLM_QUERY_BLOCK queries
 * [t0, t1). Tasks are numbered by sequence, then head, then block. */
typedef struct pyxglm_attention_task {
    const pyxglm_sequence *sequence;
    int64_t h, t0, t1;
} pyxglm_attention_task;

PYXGLM_INLINE int64_t pyxglm_query_blocks(int64_t T)
{
    return (T + PYXGLM_QUERY_BLOCK - 1) / PYXGLM_QUERY_BLOCK;
}

PYXGLM_INLINE pyxglm_attention_task
pyxglm_attention_task_at(const pyxglm_attention_args *a, int64_t task)
{
    const pyxglm_sequence *sequence = a->sequences;
    int64_t blocks = pyxglm_query_blocks(sequence->T);
    while (task >= a->H * blocks) {
        task -= a->H * blocks;
        sequence++;
        blocks = pyxglm_query_blocks(sequence->T);
    }
    const int64_t t0 = task % blocks * PYXGLM_QUERY_BLOCK;
    const int64_t t1 = t0 + PYXGLM_QUERY_BLOCK;
    return (pyxglm_attention_task){sequence, task / blocks, t0,
                                   t1 < sequence->T ? t1 : sequence->T};
}

/* Whether query t of a sequence may see key s. */
PYXGLM_INLINE int pyxglm_may_see(const pyxglm_attention_args *a,
                                 const pyxglm_sequence *sequence, int64_t t, int64_t s)
{
    if (a->visible)
        return a->visible[sequence->visible + t * sequence->S + s] != 0;
    if (a->causal && s > sequence->S - sequence->T + t)
        return 0;
    return !a->keys || a->keys[sequence->keys + s] != 0;
}

/* Whether the reference builds a mask at all. If it does, scores are bounded
 * below by the lowest finite float; if it does not, -inf stays -inf. */
PYXGLM_INLINE int pyxglm_is_masked(const pyxglm_attention_args *a,
                                   const pyxglm_sequence *sequence)
{
    return a->visible || a->keys || (a->causal && sequence->T > 1);
}

/* === Threads ============================================================= */

/* Work on items [begin, end); `context` is the caller's. */
typedef void pyxglm_range_fn(void *context, int64_t begin, int64_t end);

/* Run fn over [0, count) in chunks of `grain` items on the pool, the caller
 * included, and return when all is done. Chunks begin at multiples of `grain`;
 * who runs which is not determined, so results must not depend on it. */
void pyxglm_parallel(pyxglm_range_fn *fn, void *context, int64_t count, int64_t grain);

/* Memory of the calling thread, at least `bytes`, 64-byte aligned, contents
 * undefined. Kept and reused: the next call of the same thread and purpose
 * gets the same memory. NULL if there is none. */
enum {
    PYXGLM_SCRATCH_CALL = 0, /* an entry point's, until it returns */
    PYXGLM_SCRATCH_TASK = 1, /* a range function's, until it returns */
    PYXGLM_SCRATCH_KERNEL = 2, /* a kernel's, until it returns */
    PYXGLM_SCRATCH_ROUNDED = 3, /* x rounded, for a coarse product */
    PYXGLM_SCRATCH_PACKED = 4,  /* x as tiles, pairs, or spread */
    PYXGLM_SCRATCH_USES = 5
};
void *pyxglm_scratch(int use, size_t bytes);

/* === Products ============================================================= */

/* The kernel of a product, exact or coarse. */
pyxglm_linear_fn *pyxglm_linear_kernel(const pyxglm_kernels *table, int dtype, int coarse);

/* Makes of x what the kernel wants, if it wants another form, in scratch memory of
 * the calling thread: `rounded` and `packed` of the arguments, for outputs up to N. */
int pyxglm_linear_prepare(pyxglm_linear_args *a, pyxglm_linear_fn *kernel, int dtype,
                          int coarse);

/* === The head with a shortlist ============================================ */

/* Whether a call is one that its shortlist serves; and the call. `done` is 0 if some
 * x is of no use for it, and nothing has been written then. */
int pyxglm_shortlist_serves(const pyxglm_head_args *a);
int pyxglm_head_by_shortlist(const pyxglm_head_args *a, int dtype, const pyxglm_kernels *table,
                             int *done);

/* === The table of kernels ================================================ */

/* Whether this CPU and this operating system let `level` run. */
int pyxglm_cpu_has(int level);

/* Each puts its kernels into the table; scalar fills all of it. */
void pyxglm_fill_scalar(pyxglm_kernels *table);
#if PYXGLM_X86
void pyxglm_fill_avx2(pyxglm_kernels *table);
void pyxglm_fill_avx512(pyxglm_kernels *table);
void pyxglm_fill_amx(pyxglm_kernels *table);

/* Whether a product of tiles gives known numbers. */
int pyxglm_amx_works(void);

/* x as the amx level's linear multiplies it (`packed` of its arguments): how
 * many bytes; and rows [16 begin, 16 end) of it, so that threads share that.
 * The dtype is that of the weights, with PYXGLM_ROUNDED for a coarse product. */
int64_t pyxglm_linear_amx_pack_bytes(const pyxglm_linear_args *a, int dtype);
void pyxglm_linear_amx_pack(void *packed, const pyxglm_linear_args *a, int dtype, int64_t begin,
                            int64_t end);

/* The same of linear_coarse on pairs of bfloat16: rows [begin, end). */
int64_t pyxglm_linear_pairs_pack_bytes(const pyxglm_linear_args *a);
void pyxglm_linear_pairs_pack(void *packed, const pyxglm_linear_args *a, int64_t begin,
                              int64_t end);
#endif
#if PYXGLM_ARM
void pyxglm_fill_neon(pyxglm_kernels *table);
#endif

#endif
