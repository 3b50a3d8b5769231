/* `linear` as a whole operation, exact and coarse: see run.c for the others. */
#include "grain.h"

#if PYXGLM_X86
#include "x86/x86.h"
#endif

#define MAX_ROWS 512             /* of x that are prepared at a time */
#define PACKED_BLOCK 16          /* and how many make a tile */
/* Of a piece: so few that the last is soon done, and so many that all of x, which each
 * piece reads anew, serves 128 outputs at least of K = 4096. */
#define MAX_WEIGHT_BYTES 2097152
/* Outputs of a piece on tiles, of more than two blocks of rows: all share one reading of
 * x, which has three parts there and, for a large K, comes from beyond L2. */
#define TILES_OUTPUTS 256
#define COPY_ROWS 12    /* from so many rows of x and outputs on */
#define COPY_OUTPUTS 64 /* a copy of x pays */

/* === What kernels want of x =============================================== */

/* Coarse kernels want x rounded, or as pairs of bfloat16; tiles want it split
 * and transposed; vectors want its rows where they are read fast. That is done
 * once, by all threads. */
typedef struct prepare_job {
    const pyxglm_linear_args *a;
    void *to;
    int dtype;
} prepare_job;

static void round_elements(void *context, int64_t begin, int64_t end)
{
    const prepare_job *job = context;
    float *rounded = job->to;
    for (int64_t i = begin; i < end; i++)
        rounded[i] = pyxglm_round_bf16(job->a->x[i]);
}

#if PYXGLM_X86
static void copy_rows(void *context, int64_t begin, int64_t end)
{
    const prepare_job *job = context;
    const int64_t K = job->a->K, stride = pyxglm_spread_stride(K);
    for (int64_t m = begin; m < end; m++)
        memcpy((float *)job->to + m * stride, job->a->x + m * K, (size_t)K * sizeof(float));
}

static void pack_blocks(void *context, int64_t begin, int64_t end)
{
    const prepare_job *job = context;
    pyxglm_linear_amx_pack(job->to, job->a, job->dtype, begin, end);
}

static void pair_rows(void *context, int64_t begin, int64_t end)
{
    const prepare_job *job = context;
    pyxglm_linear_pairs_pack(job->to, job->a, begin, end);
}

static int on_pairs(pyxglm_linear_fn *kernel)
{
    return kernel == pyxglm_linear_coarse_f32_avx512_bf16 ||
           kernel == pyxglm_linear_coarse_f16_avx512_bf16 ||
           kernel == pyxglm_linear_coarse_bf16_avx512_bf16;
}

static int on_vectors(pyxglm_linear_fn *kernel)
{
    return kernel == pyxglm_linear_f32_avx2 || kernel == pyxglm_linear_f16_avx2 ||
           kernel == pyxglm_linear_bf16_avx2 || kernel == pyxglm_linear_i8_avx2 ||
           kernel == pyxglm_linear_f32_avx512 || kernel == pyxglm_linear_f16_avx512 ||
           kernel == pyxglm_linear_bf16_avx512 || kernel == pyxglm_linear_i8_avx512;
}

/* Whether rows of x are copied, `pyxglm_spread_stride` apart. Where vectors of x lie
 * across cache lines each costs two loads. And rows of 4 KB all begin in one set
 * of the first cache, which has 8 places, for 6 rows of x and 4 of 32-bit weights;
 * those of 16 bits begin in two. Then a copy is faster, and without need slower. */
static int wants_copy(const pyxglm_linear_args *a, pyxglm_linear_fn *kernel, int dtype)
{
    const int on_lines = (uintptr_t)a->x % 64 == 0 && a->K % 16 == 0;
    return on_vectors(kernel) && a->M >= COPY_ROWS && a->N >= COPY_OUTPUTS &&
           (dtype == PYXGLM_F32 || !on_lines);
}

static int on_tiles(pyxglm_linear_fn *kernel)
{
    return kernel == pyxglm_linear_f16_amx || kernel == pyxglm_linear_bf16_amx ||
           kernel == pyxglm_linear_coarse_f32_amx || kernel == pyxglm_linear_coarse_f16_amx ||
           kernel == pyxglm_linear_coarse_bf16_amx;
}
#endif

pyxglm_linear_fn *pyxglm_linear_kernel(const pyxglm_kernels *table, int dtype, int coarse)
{
    return coarse ? table->linear_coarse[dtype] : table->linear[dtype];
}

/* Whether x will be prepared, and how much memory that takes grows with its rows. */
static int prepares(const pyxglm_linear_args *a, pyxglm_linear_fn *kernel, int dtype, int coarse)
{
#if PYXGLM_X86
    return coarse || on_tiles(kernel) || wants_copy(a, kernel, dtype);
#else
    (void)a, (void)kernel, (void)dtype;
    return coarse;
#endif
}

int pyxglm_linear_prepare(pyxglm_linear_args *a, pyxglm_linear_fn *kernel, int dtype, int coarse)
{
    prepare_job job = {.a = a, .dtype = coarse ? dtype | PYXGLM_ROUNDED : dtype};
    a->packed = NULL;
#if PYXGLM_X86
    if (on_pairs(kernel)) { /* which makes pairs of `rounded` where it gets none */
        job.to = pyxglm_scratch(PYXGLM_SCRATCH_PACKED, (size_t)pyxglm_linear_pairs_pack_bytes(a));
        if (!job.to)
            return PYXGLM_NO_MEMORY;
        pyxglm_parallel(pair_rows, &job, a->M, grain_of(a->M, a->K, MIN_ELEMENTS));
        a->packed = job.to;
        return PYXGLM_OK;
    }
#endif
    if (coarse) {
        const int64_t count = a->M * a->K;
        job.to = pyxglm_scratch(PYXGLM_SCRATCH_ROUNDED, (size_t)count * sizeof *a->x);
        if (!job.to)
            return PYXGLM_NO_MEMORY;
        pyxglm_parallel(round_elements, &job, count, grain_of(count, 1, MIN_ELEMENTS));
        a->rounded = job.to;
    }
#if PYXGLM_X86
    /* Without memory each range makes tiles for itself, or reads x as it is: the same bits. */
    if (on_tiles(kernel)) {
        const int64_t blocks = ceil_div(a->M, PACKED_BLOCK);
        const int64_t bytes = pyxglm_linear_amx_pack_bytes(a, job.dtype);
        job.to = pyxglm_scratch(PYXGLM_SCRATCH_PACKED, (size_t)bytes);
        if (job.to) {
            pyxglm_parallel(pack_blocks, &job, blocks,
                            grain_of(blocks, PACKED_BLOCK * a->K, MIN_ELEMENTS));
            a->packed = job.to;
        }
    } else if (wants_copy(a, kernel, dtype)) {
        const int64_t floats = a->M * pyxglm_spread_stride(a->K);
        job.to = pyxglm_scratch(PYXGLM_SCRATCH_PACKED, (size_t)floats * sizeof *a->x);
        if (job.to) {
            pyxglm_parallel(copy_rows, &job, a->M, grain_of(a->M, a->K, MIN_ELEMENTS));
            a->packed = job.to;
        }
    }
#else
    (void)kernel;
#endif
    return PYXGLM_OK;
}

/* === The product ========================================================== */

typedef struct linear_job {
    pyxglm_linear_fn *kernel;
    const pyxglm_linear_args *a;
} linear_job;

static void linear_outputs(void *context, int64_t begin, int64_t end)
{
    const linear_job *job = context;
    job->kernel(job->a, begin, end);
}

/* How many outputs a thread takes at a time. */
static int64_t piece_of(const pyxglm_linear_args *a, pyxglm_linear_fn *kernel, int dtype)
{
    const int64_t row_bytes = max_i64(1, a->K * pyxglm_itemsize(dtype));
    int64_t piece = grain_of(a->N, a->M * a->K, MIN_PRODUCTS), together = PYXGLM_LINEAR_TILE;
#if PYXGLM_X86
    if (on_tiles(kernel)) {
        const int64_t share = ceil_div(a->N, pyxglm_get_num_threads());
        together = PYXGLM_LINEAR_TILE_AMX;
        if (a->M > 2 * PACKED_BLOCK)
            piece = max_i64(piece, min_i64(share, TILES_OUTPUTS));
    }
#else
    (void)kernel;
#endif
    piece = min_i64(piece, max_i64(1, MAX_WEIGHT_BYTES / row_bytes));
    return ceil_div(piece, together) * together;
}

static int run(const pyxglm_linear_args *a, int dtype, int level, int coarse)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    if (!table)
        return PYXGLM_NO_LEVEL;
    pyxglm_linear_fn *const kernel = pyxglm_linear_kernel(table, dtype, coarse);
    /* What is prepared of x stays small: a slab of rows at a time, and every
     * slab reads the weights again. Without rows there is nothing to write. */
    const int64_t slab = prepares(a, kernel, dtype, coarse) ? MAX_ROWS : a->M;
    for (int64_t m = 0; m < a->M; m += slab) {
        pyxglm_linear_args part = *a;
        part.M = min_i64(slab, a->M - m);
        part.x += m * a->K;
        part.y += m * a->y_stride;
        if (a->residual)
            part.residual += m * a->y_stride;
        const int status = pyxglm_linear_prepare(&part, kernel, dtype, coarse);
        if (status != PYXGLM_OK)
            return status;
        linear_job job = {kernel, &part};
        pyxglm_parallel(linear_outputs, &job, a->N, piece_of(a, kernel, dtype));
    }
    return PYXGLM_OK;
}

int pyxglm_run_linear(const pyxglm_linear_args *a, int dtype, int level)
{
    return run(a, dtype, level, 0);
}

int pyxglm_run_linear_coarse(const pyxglm_linear_args *a, int dtype, int level)
{
    return run(a, dtype, level, 1);
}
