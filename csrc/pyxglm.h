/* pyxglm.h - the manual of pyxglm's C library.
 *
 * The library replaces the hot loops of pyxglm/ops/reference.py. Every kernel
 * has the name and the contract of its reference, computes in float32, and is
 * measured against the reference in float64. This file is read twice: by the
 * C compiler, and by cffi, which makes the Python binding from it. So it holds
 * plain declarations only: no preprocessor but the include guard and the
 * standard integer types (build_ext.py strips those lines for cffi).
 *
 * Letters in shapes are those of the key in pyxglm/decoder.py: B batch, T new
 * tokens, S all tokens, D width, H heads, K head width; in `linear`, M rows of
 * activations, N outputs, K inputs. Every array is row-major.
 *
 * Contracts that hold everywhere
 *   - Any size from 0 up; no alignment; arrays do not overlap unless said.
 *   - Nothing is written outside the outputs' shapes.
 *   - A kernel works on a range of rows or tasks [begin, end), so that the
 *     caller may split it over threads; what it computes for a row does not
 *     depend on the range.
 *   - The order of every sum depends on the instruction set, the stored dtype,
 *     N and K; never on M, the batch, the range or the number of threads.
 *   - Infinities and NaN propagate: where the reference is not finite, neither
 *     is the kernel.
 *   - A kernel takes no memory but scratch that its thread keeps, and does without
 *     if there is none. Nothing here prints, or exits.
 */
#ifndef PYXGLM_H
#define PYXGLM_H
#include <stdint.h>

/* === Instruction sets ==================================================== */

/* Levels. Each overrides what it has of the one below: x86's of the one before it,
 * NEON's of plain C. */
enum {
    PYXGLM_SCALAR = 0,  /* plain C, complete: the second reference */
    PYXGLM_AVX2 = 1,    /* AVX2 + FMA + F16C */
    PYXGLM_AVX512 = 2,  /* AVX-512 F, BW, DQ, VL */
    PYXGLM_AMX = 3,     /* AVX-512 and bf16 tiles */
    PYXGLM_NEON = 4,    /* aarch64 */
    PYXGLM_LEVELS = 5
};

/* How weights are stored. bfloat16 is the upper half of a float32. Whole numbers of
 * 8 bits (signed) are for `linear` alone: the codes of a shortlist, see below. */
enum {
    PYXGLM_F32 = 0,
    PYXGLM_F16 = 1,
    PYXGLM_BF16 = 2,
    PYXGLM_I8 = 3,
    PYXGLM_DTYPES = 4
};

/* Activations that `linear` can apply to its sum, and that stand alone. */
enum {
    PYXGLM_LINEAR = 0,    /* x */
    PYXGLM_GELU = 1,      /* x/2 (1 + erf(x / sqrt 2)); |error| <= 1e-7 |x| */
    PYXGLM_GELU_TANH = 2, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    PYXGLM_RELU = 3,      /* max(x, 0) */
    PYXGLM_SILU = 4,      /* x / (1 + exp(-x)) */
    PYXGLM_ACTIVATIONS = 5
};

/* === Kernels ============================================================= */

/* hidden[r,:] = embed[ids[r],:] * scale + table[positions[r] + 2,:]
 *
 * Product and sum are rounded each, so every level gives the same bits as NumPy
 * in float32. Ids and positions have been checked by the caller. */
typedef struct pyxglm_embed_args {
    float *hidden;            /* (rows, D) */
    const int64_t *ids;       /* (rows) */
    const int64_t *positions; /* (rows) */
    const void *embed;        /* (V, D), stored as the kernel's dtype */
    const float *table;       /* (P, D) */
    float scale;
    int64_t rows, D;
} pyxglm_embed_args;
typedef void pyxglm_embed_fn(const pyxglm_embed_args *a, int64_t begin, int64_t end);

/* y[r,:] = (x[r,:] - mean) / sqrt(variance + 1e-5) * weight + bias
 *
 * Two passes over a row, so that a large mean costs no digits. */
typedef struct pyxglm_layer_norm_args {
    float *y;            /* (rows, D) */
    const float *x;      /* (rows, D) */
    const float *weight; /* (D) */
    const float *bias;   /* (D) */
    int64_t rows, D;
} pyxglm_layer_norm_args;
typedef void pyxglm_layer_norm_fn(const pyxglm_layer_norm_args *a, int64_t begin, int64_t end);

/* Elementwise or rowwise: y = f(x). y may be x. For activations, rows is the
 * number of elements and width is 1; begin and end count elements. */
typedef struct pyxglm_map_args {
    float *y;       /* (rows, width) */
    const float *x; /* (rows, width) */
    int64_t rows, width;
} pyxglm_map_args;
typedef void pyxglm_map_fn(const pyxglm_map_args *a, int64_t begin, int64_t end);

/* y = activation(x w^T + bias) + residual
 *
 * begin and end count outputs (rows of w): a thread reads its own weights.
 * Each output is one dot product over K, whose order depends on K alone, so a
 * row of y has the same bits at M = 1 and M = 500. */
typedef struct pyxglm_linear_args {
    float *y;              /* (M, N), rows `y_stride` floats apart */
    const float *x;        /* (M, K) */
    const void *w;         /* (N, K), stored as the kernel's dtype */
    const float *bias;     /* (N), or NULL */
    const float *residual; /* (M, N) as y, or NULL; may be y */
    int64_t activation;    /* one of the enum above */
    int64_t M, N, K, y_stride;
    const void *packed; /* x as the level's kernel wants it, shared by its ranges;
                           NULL: it makes it itself, or does without. Set by
                           the pyxglm_run_ calls of `linear` and the head. */
    const float *rounded; /* (M, K): x rounded to bfloat16, which coarse kernels read
                             that do not get x `packed`. Set by the coarse ones. */
} pyxglm_linear_args;
typedef void pyxglm_linear_fn(const pyxglm_linear_args *a, int64_t begin, int64_t end);

/* linear_coarse: y = activation(bf16(x) bf16(w)^T + bias) + residual
 *
 * The explicit coarser mode, for compute="bfloat16": bf16() rounds to nearest,
 * ties to even. Everything behind the rounding is float32, and the struct and
 * the promises are those of `linear`. Instructions for bfloat16 count subnormal
 * numbers as 0. */

/* One sequence of a batch, ragged or not: T queries that follow S - T cached
 * tokens. Offsets count floats (masks: bytes) from the base pointers. */
typedef struct pyxglm_sequence {
    int64_t T, S;
    int64_t q, k, v, out; /* offsets of this sequence's arrays */
    int64_t keys;         /* offset into `keys`, (S) bytes */
    int64_t visible;      /* offset into `visible`, (T, S) bytes */
    int64_t weights;      /* offset into `weights`, (H, T, S) floats */
} pyxglm_sequence;

/* max = the largest of x;  sum = sum_i exp(x_i - max), of `width` > 0 numbers.
 *
 * What a log-sum-exp needs of a block of logits. A NaN makes the sum NaN;
 * what max is then is not said. */
typedef void pyxglm_exp_sum_fn(const float *x, int64_t width, float *max, float *sum);

/* weights = softmax(mask(q k^T)) * head_mask;  out = weights v
 *
 * One pass over the keys with an online softmax, in blocks that count the keys
 * a query may see: masked keys are skipped, so padding does not move a bit. A
 * query that may see no key at all spreads its weight evenly over all S keys;
 * where there are none, out is 0. What a query may not see is not read,
 * unless all that it sees has the score -inf: then, as in the reference, all S count.
 * q arrives scaled by K^-0.5. Tasks are (sequence, head, block of queries):
 * pyxglm_attention_tasks() says how many. */
typedef struct pyxglm_attention_args {
    float *out;              /* element (t, h, k) at out + t*out_t + h*out_h + k */
    float *weights;          /* NULL unless wanted; (H, T, S) a sequence */
    const float *q;          /* at q + t*q_t + h*q_h + k */
    const float *k;          /* at k + s*k_s + h*k_h + k */
    const float *v;          /* at v + s*v_s + h*v_h + k */
    const uint8_t *keys;     /* (S) a sequence, 0 = padding; or NULL */
    const uint8_t *visible;  /* (T, S) a sequence, replaces the other rules; or NULL */
    const float *head_mask;  /* (H), or NULL */
    const pyxglm_sequence *sequences; /* (B) */
    int64_t causal;          /* query t sees s <= S - T + t */
    int64_t B, H, K;
    int64_t out_t, out_h, q_t, q_h, k_s, k_h, v_s, v_h; /* strides, in floats */
} pyxglm_attention_args;
typedef void pyxglm_attention_fn(const pyxglm_attention_args *a, int64_t begin, int64_t end,
                                 float *scratch);
int64_t pyxglm_attention_tasks(const pyxglm_attention_args *a);
int64_t pyxglm_attention_scratch(const pyxglm_attention_args *a); /* floats */

/* k_room[b,h,start + t,:] = k[b,h,t,:] and the same for v: T new tokens' keys
 * and values go into the cache, which has room for S tokens.
 *
 * begin and end count rows of K numbers, by sequence, then head, then token. */
typedef struct pyxglm_cache_append_args {
    float *k_room, *v_room;        /* (B, H, S, K) */
    const float *k, *v;            /* element (b, h, t, i) at k + b*k_b + h*k_h + t*k_t + i */
    int64_t start, S, B, H, T, K;
    int64_t k_b, k_h, k_t, v_b, v_h, v_t; /* strides, in floats */
} pyxglm_cache_append_args;
typedef void pyxglm_cache_append_fn(const pyxglm_cache_append_args *a, int64_t begin,
                                    int64_t end);

/* The table of kernels. scalar/ fills all of it; then every level that the CPU
 * and the operating system allow overwrites what it has. */
typedef struct pyxglm_kernels {
    pyxglm_embed_fn *embed[3];         /* by dtype */
    pyxglm_layer_norm_fn *layer_norm;
    pyxglm_map_fn *softmax;            /* rows of width `width` */
    pyxglm_map_fn *log_softmax;
    pyxglm_exp_sum_fn *exp_sum;
    pyxglm_map_fn *activation[5];      /* by activation; [PYXGLM_LINEAR] copies */
    pyxglm_linear_fn *linear[4];       /* by dtype */
    pyxglm_linear_fn *linear_coarse[3]; /* by dtype */
    pyxglm_attention_fn *attention;
    pyxglm_cache_append_fn *cache_append;
} pyxglm_kernels;

/* === Levels ============================================================== */

/* "scalar", "avx2", "avx512", "amx", "neon"; NULL for any other number. */
const char *pyxglm_level_name(int level);

/* Whether a level can be used: this library has kernels for it, the CPU has
 * the instructions, and the operating system saves the registers. */
int pyxglm_level_available(int level);

/* The rule behind that for x86, for any CPU: CPUID leaf 1 ecx, leaf 7 ebx and
 * edx, and the register XCR0 (0 where OSXSAVE is not set). The amx level is
 * also asked of the operating system, and tried once against known numbers. */
int pyxglm_cpu_allows(int level, uint32_t leaf1_ecx, uint32_t leaf7_ebx, uint32_t leaf7_edx,
                      uint64_t xcr0);

/* The same for the one extension that is no level: whether the avx512 level has
 * linear_coarse on pairs of bfloat16 (VDPBF16PS). `leaf7_1_eax`: CPUID leaf 7,
 * subleaf 1. And whether it has it here. */
int pyxglm_cpu_allows_bf16_pairs(uint32_t leaf1_ecx, uint32_t leaf7_ebx, uint32_t leaf7_edx,
                                 uint32_t leaf7_1_eax, uint64_t xcr0);
int pyxglm_bf16_pairs(void);

/* The level in use: at first the highest available. Choosing one that is not
 * available changes nothing and returns PYXGLM_NO_LEVEL. */
int pyxglm_level(void);
int pyxglm_use_level(int level);

/* The table of a level, or of the level in use if that is -1; NULL if the level
 * is not available. For what wants a kernel itself, on a range of its choice:
 * the checker and the benchmark. Everything else calls pyxglm_run_*. */
const pyxglm_kernels *pyxglm_table(int level);

/* The entries of the table by name: "embed_f32", ..., "cache_append"; NULL behind
 * the last. And the level whose kernel serves an entry when `level` is in use. */
const char *pyxglm_entry_name(int entry);
int pyxglm_serving_level(int level, int entry);

/* === Threads ============================================================= */

/* Threads that share the work of a call, the caller included, from 1 (so it is
 * at first) to PYXGLM_MAX_THREADS; numbers outside are cut off. Setting waits
 * for calls in progress. Workers start when they are first needed. */
enum { PYXGLM_MAX_THREADS = 1024 };
void pyxglm_set_num_threads(int threads);
int pyxglm_get_num_threads(void);

/* === Calls =============================================================== */

/* Each computes a whole operation on the threads, by the kernels of `level`,
 * or of the level in use if that is -1. The caller has checked shapes and
 * dtypes. Any number of threads may call at once: one of them gets
 * the workers, the others compute alone. Results are the same either way. */
enum {
    PYXGLM_OK = 0,
    PYXGLM_NO_LEVEL = 1, /* the level is not available */
    PYXGLM_NO_MEMORY = 2, /* there is no memory for scratch; outputs are undefined */
    PYXGLM_OUT_OF_RANGE = 3 /* an id is not in [0, V), or a position not in [-2, P - 2) */
};
int pyxglm_run_embed(const pyxglm_embed_args *a, int64_t V, int64_t P, int dtype, int level);
int pyxglm_run_layer_norm(const pyxglm_layer_norm_args *a, int level);
int pyxglm_run_softmax(const pyxglm_map_args *a, int level);
int pyxglm_run_log_softmax(const pyxglm_map_args *a, int level);
int pyxglm_run_activation(const pyxglm_map_args *a, int activation, int level);
int pyxglm_run_linear(const pyxglm_linear_args *a, int dtype, int level);
int pyxglm_run_linear_coarse(const pyxglm_linear_args *a, int dtype, int level);
int pyxglm_run_attention(const pyxglm_attention_args *a, int level);
int pyxglm_run_cache_append(const pyxglm_cache_append_args *a, int level);

/* === Programs ============================================================= */

/* Calls in a row, without a return to the caller between them: those of a forward
 * pass, put off until there are enough, or a decoding step that was recorded once
 * and is repeated for token after token. While an interpreter finds its way from one
 * call to the next, CPUs and memory stand idle. */
enum {
    PYXGLM_STEP_LAYER_NORM = 0,
    PYXGLM_STEP_LINEAR = 1,
    PYXGLM_STEP_MULTIPLY = 2,
    PYXGLM_STEP_CACHE_APPEND = 3,
    PYXGLM_STEP_ATTENTION = 4,
    PYXGLM_STEP_LINEAR_COARSE = 5
};

/* y = x * factor, of `count` numbers. */
typedef struct pyxglm_multiply_args {
    float *y;
    const float *x;
    float factor;
    int64_t count;
} pyxglm_multiply_args;

typedef struct pyxglm_step {
    int64_t kind;  /* one of the enum above */
    int64_t dtype; /* of a linear step, exact or coarse */
    void *args;    /* of the call that the kind names */
} pyxglm_step;

/* Runs steps until one fails; returns what it returned. */
int pyxglm_run_steps(const pyxglm_step *steps, int64_t count, int level);

/* Makes the steps those of the next token: each appends its keys and values one
 * place further on, and attends to one key more. The caller sees to it that
 * there is room, in the cache and in the mask of keys. */
void pyxglm_next_token(const pyxglm_step *steps, int64_t count);

/* === Limits of the machine =============================================== */

/* For the checker's figures: add up `count` floats, which costs reading them;
 * and multiply and add in registers, which returns the number of operations.
 * With the widest instructions of a level, on the calling thread. The amx
 * level's operations are those of bfloat16 tiles: exact products take five of
 * them (fp16) or three (bf16). */
float pyxglm_limit_read(const float *p, int64_t count, int level);
int64_t pyxglm_limit_fma(int64_t rounds, int level);

/* The same of the avx512 level's pairs of bfloat16; 0 where it has none. */
int64_t pyxglm_limit_bf16_pairs(int64_t rounds);

/* === The LM head, without the logits ====================================== */

/* What makes finding the best cheaper: a copy of w in whole numbers of 8 bits, and
 * how far each row's logit may be from what that says, for an x of length 1:
 *
 *   |logit - scales[v] (codes[v,:] . x)|  <=  radii[v] |x|
 *
 * with all roundings (csrc/shortlist.c). A radius is infinite where nothing can be
 * said. Tokens that may be among the best get their logits from w itself: ids and
 * values keep their bits. It serves few rows of x (with more, memory is not what
 * limits) and no large `top` (which lets many through), and no other question; else
 * it is not looked at. */
enum { PYXGLM_SHORTLIST_ROWS = 4, PYXGLM_SHORTLIST_TOP = 128 };
typedef struct pyxglm_shortlist {
    const int8_t *codes; /* (V, K) */
    const float *scales; /* (V) */
    const float *radii;  /* (V) */
} pyxglm_shortlist;

/* Makes one of w, stored as `dtype`. The same bits on every level. */
typedef struct pyxglm_shortlist_args {
    int8_t *codes; /* (V, K) */
    float *scales; /* (V) */
    float *radii;  /* (V) */
    const void *w; /* (V, K), stored as the call's dtype */
    int64_t V, K;
} pyxglm_shortlist_args;
int pyxglm_run_shortlist(const pyxglm_shortlist_args *a, int dtype, int level);

/* For each row of x, of the logits x w^T that are never stored:
 *   ids, values   the `top` best, best first (`top` = 1 is the argmax). NaN is
 *                 better than any number, of equals the lower id is better.
 *                 The caller keeps top <= V.
 *   target_logits the logit of targets[m]; 0 where that is negative
 *   log_sums      log sum_v exp(logit_v)
 * The logits have the bits that `linear` gives them. Blocks of the vocabulary
 * of fixed size are reduced one by one and combined in order, so the number of
 * threads and of rows moves no bit. */
typedef struct pyxglm_head_args {
    const float *x;         /* (M, K) */
    const void *w;          /* (V, K), stored as the call's dtype */
    int64_t *ids;           /* (M, top), or NULL if top is 0 */
    float *values;          /* (M, top), or NULL if top is 0 */
    const int64_t *targets; /* (M), or NULL */
    float *target_logits;   /* (M), or NULL if `targets` is */
    float *log_sums;        /* (M), or NULL */
    const pyxglm_shortlist *shortlist; /* of w, or NULL */
    int64_t *computed;      /* (M): how many logits were computed; or NULL */
    int64_t top, M, V, K;
} pyxglm_head_args;
int pyxglm_run_head(const pyxglm_head_args *a, int dtype, int level);

/* The same of bf16(x) bf16(w)^T: of the logits of linear_coarse, and without a
 * shortlist. */
int pyxglm_run_head_coarse(const pyxglm_head_args *a, int dtype, int level);
#endif
