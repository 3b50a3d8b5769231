/* The best tokens without reading the whole head: a shortlist.
 *
 * Decoding one token reads every weight once, and of a small model half of
 * those are the head's. A copy of the head in whole numbers of 8 bits is half
 * as long as one of float16, and tells nearly all: with a row w ~ scale * code,
 *
 *     |w.x - scale * code.x|  <=  |w - scale * code| |x|      (Cauchy-Schwarz)
 *
 * so every logit lies in an interval, and a token whose interval ends below the
 * beginnings of `top` others is not among the `top` best. Of 256,008 tokens a
 * few are left; their logits are computed from the head itself, by the kernel
 * and with the bits that all logits have. So are ids and values.
 *
 * The interval allows for every rounding on the way. With u = 2^-24, and as sums
 * of K products are off by less than 1.01 (K + 12) u times the sum of their
 * absolute values, in whatever order, on tiles too (pyxglm/check/bounds.py), and
 * that is at most |w| |x| for the logit and (|w| + |w - scale * code|) |x| for
 * the score,
 *
 *     radius = |w - scale * code| + 1.01 (K + 16) u (2 |w| + |w - scale * code|).
 *
 * The rest of the 16 are for what is done with scores and radii. All that needs
 * numbers whose products neither overflow nor vanish: a row with others is
 * always computed, and for an x with others everything is. */
#include "best.h"
#include "grain.h"

#include <math.h>

#define SMALLEST 0x1p-20f /* of |x| and of the largest weight of a row, */
#define LARGEST 0x1p20f   /* between which nothing over- or underflows */
#define CODES 127.0f      /* codes are -127 to 127 */
#define LANES 8           /* sums side by side while it is made */
#define ROUND 0x1.8p23f   /* adding it leaves no place behind the point */

static float rounded_up(double x)
{
    return nextafterf((float)x, INFINITY);
}

/* === Making one =========================================================== */

/* The largest absolute value of w. Those of floats are ordered as their bits are, infinity and
 * NaN behind all numbers. */
static float largest_of(const float *w, int64_t K)
{
    int32_t largest = 0;
    for (int64_t k = 0; k < K; k++) {
        int32_t bits;
        memcpy(&bits, w + k, sizeof bits);
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    return pyxglm_float_of_bits((uint32_t)largest);
}

/* Codes of n <= LANES weights, and the squares of them and of what codes do not tell. */
PYXGLM_INLINE void encode(int8_t *codes, double sizes[LANES], double rests[LANES],
                          const float *w, int64_t n, float scale, float per_scale)
{
    float code[LANES];
    for (int64_t i = 0; i < n; i++)
        code[i] = (w[i] * per_scale + ROUND) - ROUND;
    for (int64_t i = 0; i < n; i++)
        codes[i] = (int8_t)code[i];
    for (int64_t i = 0; i < n; i++) {
        const double off = w[i] - (double)scale * code[i];
        rests[i] += off * off;
    }
    for (int64_t i = 0; i < n; i++)
        sizes[i] += (double)w[i] * w[i];
}

static void make_row(const pyxglm_shortlist_args *a, int64_t v, const float *w)
{
    const int64_t K = a->K;
    int8_t *codes = a->codes + v * K;
    const float largest = largest_of(w, K);
    if (!(largest >= SMALLEST && largest <= LARGEST)) {
        for (int64_t k = 0; k < K; k++)
            codes[k] = 0;
        a->scales[v] = 0.0f;
        a->radii[v] = largest == 0.0f ? 0.0f : INFINITY;
        return;
    }
    const float scale = largest / CODES, per_scale = 1 / scale;
    double sizes[LANES] = {0}, rests[LANES] = {0};
    int64_t k = 0;
    for (; k + LANES <= K; k += LANES)
        encode(codes + k, sizes, rests, w + k, LANES, scale, per_scale);
    encode(codes + k, sizes, rests, w + k, K - k, scale, per_scale);
    double size = 0.0, rest = 0.0;
    for (int i = 0; i < LANES; i++) {
        size += sizes[i];
        rest += rests[i];
    }
    size = sqrt(size);
    rest = sqrt(rest);
    const double off = 1.01 * (double)(K + 16) * 0x1p-24 * (2 * size + rest);
    a->scales[v] = scale;
    a->radii[v] = rounded_up((rest + off) * (1 + 0x1p-20));
}

typedef struct make_job {
    const pyxglm_shortlist_args *a;
    pyxglm_embed_fn *embed; /* which widens rows by vectors */
    atomic_int failed;
} make_job;

static void make_rows(void *context, int64_t begin, int64_t end)
{
    make_job *job = context;
    const pyxglm_shortlist_args *a = job->a;
    float *w = pyxglm_scratch(PYXGLM_SCRATCH_TASK, (size_t)(2 * a->K) * sizeof *w);
    if (!w) {
        atomic_store(&job->failed, 1);
        return;
    }
    float *zeros = w + a->K;
    for (int64_t k = 0; k < a->K; k++)
        zeros[k] = 0.0f;
    const int64_t first = -PYXGLM_POSITION_OFFSET;
    for (int64_t v = begin; v < end; v++) {
        const pyxglm_embed_args row = {.hidden = w, .ids = &v, .positions = &first,
                                       .embed = a->w, .table = zeros, .scale = 1.0f,
                                       .rows = 1, .D = a->K};
        job->embed(&row, 0, 1);
        make_row(a, v, w);
    }
}

int pyxglm_run_shortlist(const pyxglm_shortlist_args *a, int dtype, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    if (!table)
        return PYXGLM_NO_LEVEL;
    make_job job = {.a = a, .embed = table->embed[dtype]};
    pyxglm_parallel(make_rows, &job, a->V, grain_of(a->V, a->K, MIN_ELEMENTS));
    return atomic_load(&job.failed) ? PYXGLM_NO_MEMORY : PYXGLM_OK;
}

/* === Using one ============================================================ */

typedef struct short_job {
    const pyxglm_head_args *a;
    const pyxglm_kernels *table;
    pyxglm_linear_fn *kernel;     /* of the head, */
    pyxglm_linear_args product;   /* and what it is called with, but for the weights */
    int64_t w_stride;
    float norms[PYXGLM_SHORTLIST_ROWS];  /* |x| of each row, at least */
    _Atomic float floors[PYXGLM_SHORTLIST_ROWS]; /* `top` logits of a row are at least that */
    float *ends; /* (M, V): no logit is above its own */
    best *lists; /* (blocks, M) */
    atomic_llong computed[PYXGLM_SHORTLIST_ROWS];
} short_job;

/* Intervals of logits: their ends, and the best of their beginnings. */
static void bound_blocks(void *context, int64_t begin, int64_t end)
{
    short_job *job = context;
    const pyxglm_head_args *a = job->a;
    const pyxglm_shortlist *list = a->shortlist;
    float beginnings[BLOCK];
    for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * BLOCK, width = min_i64(BLOCK, a->V - first);
        const pyxglm_linear_args product = {
            .y = job->ends + first, .x = a->x, .w = list->codes + first * a->K,
            .activation = PYXGLM_LINEAR, .M = a->M, .N = width, .K = a->K, .y_stride = a->V};
        job->table->linear[PYXGLM_I8](&product, 0, width);
        for (int64_t row = 0; row < a->M; row++) {
            float *ends = job->ends + row * a->V + first;
            for (int64_t i = 0; i < width; i++) {
                const float score = list->scales[first + i] * ends[i];
                const float radius = list->radii[first + i] * job->norms[row];
                beginnings[i] = score - radius;
                ends[i] = score + radius;
            }
            offer_block(&job->lists[block * a->M + row], a->top, beginnings, width, first,
                        &job->floors[row]);
        }
    }
}

/* The logits of tokens that may be among the best of a row, and the best of those. A
 * token is computed for all rows at once: x has been made what the kernel wants. */
static void compute_blocks(void *context, int64_t begin, int64_t end)
{
    short_job *job = context;
    const pyxglm_head_args *a = job->a;
    int64_t computed[PYXGLM_SHORTLIST_ROWS] = {0};
    float floors[PYXGLM_SHORTLIST_ROWS];
    for (int64_t row = 0; row < a->M; row++)
        floors[row] = atomic_load(&job->floors[row]);
    for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * BLOCK, width = min_i64(BLOCK, a->V - first);
        for (int64_t row = 0; row < a->M; row++)
            job->lists[block * a->M + row].length = 0;
        for (int64_t v = first; v < first + width; v++) {
            float logits[PYXGLM_SHORTLIST_ROWS];
            int known = 0;
            for (int64_t row = 0; row < a->M; row++) {
                if (job->ends[row * a->V + v] < floors[row])
                    continue;
                if (!known) {
                    pyxglm_linear_args product = job->product;
                    product.y = logits;
                    product.w = (const char *)a->w + v * job->w_stride;
                    job->kernel(&product, 0, 1);
                    known = 1;
                }
                offer(&job->lists[block * a->M + row], logits[row], v);
                computed[row]++;
            }
        }
    }
    for (int64_t row = 0; row < a->M; row++)
        atomic_fetch_add(&job->computed[row], computed[row]);
}

int pyxglm_shortlist_serves(const pyxglm_head_args *a)
{
    return a->shortlist && a->top > 0 && a->top <= PYXGLM_SHORTLIST_TOP &&
           a->M <= PYXGLM_SHORTLIST_ROWS && !a->targets && !a->log_sums;
}

int pyxglm_head_by_shortlist(const pyxglm_head_args *a, int dtype, const pyxglm_kernels *table,
                             int *done)
{
    short_job job = {.a = a, .table = table, .kernel = pyxglm_linear_kernel(table, dtype, 0),
                     .w_stride = a->K * pyxglm_itemsize(dtype)};
    *done = 0;
    for (int64_t row = 0; row < a->M; row++) {
        double sum = 0.0;
        for (int64_t k = 0; k < a->K; k++)
            sum += (double)a->x[row * a->K + k] * a->x[row * a->K + k];
        job.norms[row] = rounded_up(sqrt(sum) * (1 + 0x1p-40));
        if (!(job.norms[row] >= SMALLEST && job.norms[row] <= LARGEST))
            return PYXGLM_OK;
    }
    const int64_t lists = blocks_of(a) * a->M;
    char *memory = pyxglm_scratch(PYXGLM_SCRATCH_CALL, list_bytes(lists, a->top) +
                                                           (size_t)(a->M * a->V) * sizeof(float));
    if (!memory)
        return PYXGLM_NO_MEMORY;
    job.lists = (best *)memory;
    job.ends = lists_in(job.lists, lists, a->top);
    for (int64_t row = 0; row < a->M; row++)
        atomic_store(&job.floors[row], -INFINITY);

    pyxglm_parallel(bound_blocks, &job, blocks_of(a), 1);
    for (int64_t row = 0; row < a->M; row++) {
        merge(a, row, job.lists + row, a->M);
        atomic_store(&job.floors[row], a->values[(row + 1) * a->top - 1]);
    }
    job.product = (pyxglm_linear_args){.x = a->x, .M = a->M, .N = 1, .K = a->K,
                                       .activation = PYXGLM_LINEAR, .y_stride = 1};
    const int status = pyxglm_linear_prepare(&job.product, job.kernel, dtype, 0);
    if (status != PYXGLM_OK)
        return status;
    pyxglm_parallel(compute_blocks, &job, blocks_of(a), 1);
    for (int64_t row = 0; row < a->M; row++) {
        merge(a, row, job.lists + row, a->M);
        if (a->computed)
            a->computed[row] = (int64_t)atomic_load(&job.computed[row]);
    }
    *done = 1;
    return PYXGLM_OK;
}
