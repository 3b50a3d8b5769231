/* The LM head without the logits: what decoding and scoring need of them.
 *
 * XGLM's vocabulary has 256,008 entries. The logits of 512 positions are half
 * a gigabyte, to be written, read and thrown away, where a decoder wants the
 * best few and a scorer the logit of one target and the log of the sum of all
 * exponentials. So the vocabulary is cut into blocks whose logits stay in the
 * cache; each is boiled down to a partial result as soon as it is there; and
 * the partial results are combined in the order of the blocks.
 *
 * Blocks have a fixed size and rows do not touch, so neither threads nor the
 * number of rows changes a bit. */
#include "best.h"

#include <math.h>

#define ROWS 128 /* rows of x that are worked on at a time: logits of a block take 256 KiB */

/* Of one block and one row: the largest logit, the sum of exp(logit - largest),
 * and a list of the best logits. Arrays over (blocks, rows). */
typedef struct partials {
    float *largest, *sum;
    best *lists;
} partials;

typedef struct head_job {
    const pyxglm_head_args *a;
    const pyxglm_kernels *table;
    pyxglm_linear_fn *kernel;
    pyxglm_linear_args product; /* of the rows worked on, all but the weights */
    int dtype;
    int64_t m0, rows; /* the rows worked on */
    partials found;
    _Atomic float floors[ROWS]; /* `top` logits of a row reach its own */
    atomic_int failed;
} head_job;

/* === Blocks =============================================================== */

static int has_nan(const float *x, int64_t width)
{
    int found = 0;
    for (int64_t i = 0; i < width; i++)
        found |= x[i] != x[i];
    return found;
}

static void reduce(head_job *job, const float *logits, int64_t block, int64_t row,
                   int64_t width)
{
    const pyxglm_head_args *a = job->a;
    const int64_t at = block * job->rows + row, first = block * BLOCK, m = job->m0 + row;
    if (a->top > 0) {
        job->found.lists[at].length = 0;
        offer_block(&job->found.lists[at], a->top, logits, width, first, &job->floors[row]);
    }
    if (a->log_sums) {
        job->table->exp_sum(logits, width, job->found.largest + at, job->found.sum + at);
        if (job->found.largest[at] == -INFINITY) /* the sum is NaN, as -inf + inf */
            job->found.sum[at] = has_nan(logits, width) ? NAN : 0.0f;
    }
    if (a->targets && a->targets[m] >= first && a->targets[m] < first + width)
        a->target_logits[m] = logits[a->targets[m] - first];
}

static void head_blocks(void *context, int64_t begin, int64_t end)
{
    head_job *job = context;
    const pyxglm_head_args *a = job->a;
    float *logits = pyxglm_scratch(PYXGLM_SCRATCH_TASK, ROWS * BLOCK * sizeof *logits);
    if (!logits) {
        atomic_store(&job->failed, 1);
        return;
    }
    for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * BLOCK, width = min_i64(BLOCK, a->V - first);
        pyxglm_linear_args product = job->product;
        product.y = logits;
        product.w = (const char *)a->w + first * a->K * pyxglm_itemsize(job->dtype);
        product.N = width;
        job->kernel(&product, 0, width);
        for (int64_t row = 0; row < job->rows; row++)
            reduce(job, logits + row * BLOCK, block, row, width);
    }
}

/* === Combining ============================================================ */

/* log sum exp of a row. The few terms are added in float64. A block of nothing
 * but -inf adds nothing, one with a NaN beside them NaN. */
static float combined_log_sum(const head_job *job, int64_t row)
{
    const int64_t blocks = blocks_of(job->a);
    float largest = -INFINITY;
    for (int64_t block = 0; block < blocks; block++) {
        const float found = job->found.largest[block * job->rows + row];
        largest = found > largest ? found : largest;
    }
    double sum = 0.0;
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t at = block * job->rows + row;
        const int empty = job->found.largest[at] == -INFINITY;
        sum += job->found.sum[at] * (empty ? 1.0 : exp((double)job->found.largest[at] - largest));
    }
    return (float)(largest + log(sum));
}

static void combine_rows(void *context, int64_t begin, int64_t end)
{
    const head_job *job = context;
    const pyxglm_head_args *a = job->a;
    for (int64_t row = begin; row < end; row++) {
        const int64_t m = job->m0 + row;
        if (a->top > 0)
            merge(a, m, job->found.lists + row, job->rows);
        if (a->log_sums)
            a->log_sums[m] = combined_log_sum(job, row);
    }
}

/* === Entry ================================================================ */

/* Memory for the partial results of `rows` rows. */
static int partials_for(head_job *job, int64_t rows)
{
    const int64_t count = blocks_of(job->a) * rows, kept = min_i64(job->a->top, BLOCK);
    char *memory = pyxglm_scratch(PYXGLM_SCRATCH_CALL,
                                  list_bytes(count, kept) + (size_t)count * 2 * sizeof(float));
    if (!memory)
        return 0;
    job->found.lists = (best *)memory;
    job->found.largest = lists_in(job->found.lists, count, kept);
    job->found.sum = job->found.largest + count;
    return 1;
}

static int run(const pyxglm_head_args *a, int dtype, int level, int coarse)
{
    head_job job = {.a = a, .table = pyxglm_table(level), .dtype = dtype};
    if (!job.table)
        return PYXGLM_NO_LEVEL;
    if (!coarse && pyxglm_shortlist_serves(a)) {
        int done;
        const int status = pyxglm_head_by_shortlist(a, dtype, job.table, &done);
        if (status != PYXGLM_OK || done)
            return status;
    }
    for (int64_t m = 0; a->computed && m < a->M; m++)
        a->computed[m] = a->V;
    job.kernel = pyxglm_linear_kernel(job.table, dtype, coarse);
    if (!partials_for(&job, min_i64(a->M, ROWS)))
        return PYXGLM_NO_MEMORY;
    for (int64_t m = 0; a->targets && m < a->M; m++)
        if (a->targets[m] < 0)
            a->target_logits[m] = 0.0f;
    for (job.m0 = 0; job.m0 < a->M; job.m0 += ROWS) {
        job.rows = min_i64(ROWS, a->M - job.m0);
        for (int64_t row = 0; row < job.rows; row++)
            atomic_store(&job.floors[row], -INFINITY);
        job.product = (pyxglm_linear_args){.x = a->x + job.m0 * a->K, .M = job.rows, .N = a->V,
                                           .K = a->K, .activation = PYXGLM_LINEAR,
                                           .y_stride = BLOCK};
        const int status = pyxglm_linear_prepare(&job.product, job.kernel, dtype, coarse);
        if (status != PYXGLM_OK)
            return status;
        pyxglm_parallel(head_blocks, &job, blocks_of(a), 1);
        if (atomic_load(&job.failed))
            return PYXGLM_NO_MEMORY;
        pyxglm_parallel(combine_rows, &job, job.rows, 1);
    }
    return PYXGLM_OK;
}

int pyxglm_run_head(const pyxglm_head_args *a, int dtype, int level)
{
    return run(a, dtype, level, 0);
}

int pyxglm_run_head_coarse(const pyxglm_head_args *a, int dtype, int level)
{
    return run(a, dtype, level, 1);
}
