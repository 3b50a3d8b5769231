/* Whole operations: each looks up its kernel and splits the work over threads.
 * `linear` has a file of its own. */
#include "grain.h"

#include <stdatomic.h>


/* === Rows ================================================================= */

typedef struct embed_job {
    pyxglm_embed_fn *kernel;
    const pyxglm_embed_args *a;
} embed_job;

static void embed_rows(void *context, int64_t begin, int64_t end)
{
    const embed_job *job = context;
    job->kernel(job->a, begin, end);
}

int pyxglm_run_embed(const pyxglm_embed_args *a, int64_t V, int64_t P, int dtype, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    if (!table)
        return PYXGLM_NO_LEVEL;
    for (int64_t r = 0; r < a->rows; r++) {
        const int64_t id = a->ids[r], position = a->positions[r];
        if (id < 0 || id >= V || position < -PYXGLM_POSITION_OFFSET ||
            position >= P - PYXGLM_POSITION_OFFSET)
            return PYXGLM_OUT_OF_RANGE;
    }
    embed_job job = {table->embed[dtype], a};
    pyxglm_parallel(embed_rows, &job, a->rows, grain_of(a->rows, a->D, MIN_ELEMENTS));
    return PYXGLM_OK;
}

typedef struct layer_norm_job {
    pyxglm_layer_norm_fn *kernel;
    const pyxglm_layer_norm_args *a;
} layer_norm_job;

static void layer_norm_rows(void *context, int64_t begin, int64_t end)
{
    const layer_norm_job *job = context;
    job->kernel(job->a, begin, end);
}

int pyxglm_run_layer_norm(const pyxglm_layer_norm_args *a, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    if (!table)
        return PYXGLM_NO_LEVEL;
    layer_norm_job job = {table->layer_norm, a};
    pyxglm_parallel(layer_norm_rows, &job, a->rows, grain_of(a->rows, a->D, MIN_ELEMENTS));
    return PYXGLM_OK;
}

/* === Maps ================================================================= */

typedef struct map_job {
    pyxglm_map_fn *kernel;
    const pyxglm_map_args *a;
} map_job;

static void map_rows(void *context, int64_t begin, int64_t end)
{
    const map_job *job = context;
    job->kernel(job->a, begin, end);
}

static int run_map(pyxglm_map_fn *kernel, const pyxglm_map_args *a)
{
    map_job job = {kernel, a};
    pyxglm_parallel(map_rows, &job, a->rows, grain_of(a->rows, a->width, MIN_ELEMENTS));
    return PYXGLM_OK;
}

int pyxglm_run_softmax(const pyxglm_map_args *a, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    return table ? run_map(table->softmax, a) : PYXGLM_NO_LEVEL;
}

int pyxglm_run_log_softmax(const pyxglm_map_args *a, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    return table ? run_map(table->log_softmax, a) : PYXGLM_NO_LEVEL;
}

int pyxglm_run_activation(const pyxglm_map_args *a, int activation, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    return table ? run_map(table->activation[activation], a) : PYXGLM_NO_LEVEL;
}

/* === Attention ============================================================ */

int64_t pyxglm_attention_tasks(const pyxglm_attention_args *a)
{
    int64_t tasks = 0;
    for (int64_t b = 0; b < a->B; b++)
        tasks += a->H * pyxglm_query_blocks(a->sequences[b].T);
    return tasks;
}

/* Room for a block of queries, keys and accumulated values, each row padded to
 * whole vectors, and for the scores between them. */
int64_t pyxglm_attention_scratch(const pyxglm_attention_args *a)
{
    const int64_t K = ceil_div(a->K, 16) * 16;
    return (2 * PYXGLM_QUERY_BLOCK + 2 * PYXGLM_KEY_BLOCK) * K +
           4 * PYXGLM_QUERY_BLOCK * PYXGLM_KEY_BLOCK;
}

typedef struct attention_job {
    pyxglm_attention_fn *kernel;
    const pyxglm_attention_args *a;
    size_t scratch_bytes;
    atomic_int failed;
} attention_job;

static void attention_tasks(void *context, int64_t begin, int64_t end)
{
    attention_job *job = context;
    float *scratch = pyxglm_scratch(PYXGLM_SCRATCH_TASK, job->scratch_bytes);
    if (scratch)
        job->kernel(job->a, begin, end, scratch);
    else
        atomic_store(&job->failed, 1);
}

int pyxglm_run_attention(const pyxglm_attention_args *a, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    if (!table)
        return PYXGLM_NO_LEVEL;
    attention_job job = {.kernel = table->attention, .a = a};
    job.scratch_bytes = (size_t)pyxglm_attention_scratch(a) * sizeof(float);
    const int64_t tasks = pyxglm_attention_tasks(a);
    int64_t T = 0, S = 0; /* of the longest sequences: what a task may cost */
    for (int64_t b = 0; b < a->B; b++) {
        T = max_i64(T, a->sequences[b].T);
        S = max_i64(S, a->sequences[b].S);
    }
    /* Less than four queries wait for keys and values to be read, as long as four. */
    const int64_t cost = 2 * max_i64(4, min_i64(T, PYXGLM_QUERY_BLOCK)) * S * a->K;
    pyxglm_parallel(attention_tasks, &job, tasks, grain_of(tasks, cost, MIN_PRODUCTS));
    return atomic_load(&job.failed) ? PYXGLM_NO_MEMORY : PYXGLM_OK;
}

/* === The cache ============================================================ */

typedef struct cache_append_job {
    pyxglm_cache_append_fn *kernel;
    const pyxglm_cache_append_args *a;
} cache_append_job;

static void cache_append_rows(void *context, int64_t begin, int64_t end)
{
    const cache_append_job *job = context;
    job->kernel(job->a, begin, end);
}

int pyxglm_run_cache_append(const pyxglm_cache_append_args *a, int level)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    if (!table)
        return PYXGLM_NO_LEVEL;
    cache_append_job job = {table->cache_append, a};
    const int64_t rows = a->B * a->H * a->T;
    pyxglm_parallel(cache_append_rows, &job, rows, grain_of(rows, 2 * a->K, MIN_ELEMENTS));
    return PYXGLM_OK;
}
