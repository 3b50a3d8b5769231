/* What pyxglm/check/invariance.py asks of the kernels of a machine that runs
 * Python, asked of one that runs this program alone: a row of `linear` does not
 * know how many rows there are, a query does not know the others, and a shortlist
 * does not show. */
#include "relatives.h"

#include <stdlib.h>

#define MANY 37 /* rows: tiles of every height, on every path */

/* Memory of exactly `count` elements, and at least one byte. */
static void *array(const call *whole, int64_t count, size_t size)
{
    void *memory = malloc((size_t)count * size + !count);
    if (!memory)
        fail(whole->file->path, "there is no memory for its relatives");
    return memory;
}

/* `rows` rows of `linear`, of which row i is row (first + i) mod M of the whole. */
static int rows_agree(const call *whole, int level, int64_t first, int64_t rows)
{
    pyxglm_linear_args a = whole->args.linear;
    const int coarse = a.rounded != NULL;
    const float *x = coarse ? a.rounded : a.x, *residual = a.residual, *y = a.y;
    const int64_t M = a.M, N = a.N, K = a.K, y_stride = a.y_stride;
    float *own_x = array(whole, rows * K, sizeof *x);
    float *own_residual = array(whole, rows * N, sizeof *x);
    float *own_y = array(whole, rows * N, sizeof *x);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t m = (first + i) % M;
        memcpy(own_x + i * K, x + m * K, (size_t)K * sizeof *x);
        if (residual)
            memcpy(own_residual + i * N, residual + m * y_stride, (size_t)N * sizeof *x);
    }
    a.x = coarse ? NULL : own_x; /* kernels read one of them */
    a.rounded = coarse ? own_x : NULL;
    a.residual = residual ? own_residual : NULL;
    a.y = own_y;
    a.M = rows;
    a.y_stride = N;
    const pyxglm_kernels *table = pyxglm_table(level);
    (coarse ? table->linear_coarse : table->linear)[whole->dtype](&a, 0, N);
    int agree = 1;
    for (int64_t i = 0; i < rows; i++)
        agree &= same_numbers(own_y + i * N, y + (first + i) % M * y_stride, N);
    free(own_x);
    free(own_residual);
    free(own_y);
    return agree;
}

/* Query t of a sequence alone. What it may see is said by padding. */
static int query_agrees(const call *whole, int level, const pyxglm_sequence *sequence, int64_t t)
{
    pyxglm_attention_args a = whole->args.attention;
    const float *out = a.out + sequence->out + t * a.out_t;
    const int64_t S = sequence->S, out_h = a.out_h;
    pyxglm_sequence one = *sequence;
    one.T = 1;
    one.q += t * a.q_t;
    one.keys = one.visible = one.out = one.weights = 0;
    uint8_t *seen = array(whole, S, 1);
    for (int64_t s = 0; s < S; s++)
        seen[s] = (uint8_t)pyxglm_may_see(&a, sequence, t, s);
    float *own = array(whole, a.H * a.K, sizeof *own);
    a.keys = pyxglm_is_masked(&a, sequence) ? seen : NULL;
    a.visible = NULL;
    a.weights = NULL;
    a.causal = 0;
    a.sequences = &one;
    a.B = 1;
    a.out = own;
    a.out_h = a.K;
    a.out_t = a.H * a.K;
    call_attention(whole->file, &a, level, 0, pyxglm_attention_tasks(&a));
    int agree = 1;
    for (int64_t h = 0; h < a.H; h++)
        agree &= same_numbers(own + h * a.K, out + h * out_h, a.K);
    free(seen);
    free(own);
    return agree;
}

/* All of it, but without the weights: queries then go together. */
static int outputs_alone_agree(const call *whole, int level)
{
    call again = call_new(whole->file);
    again.args.attention.weights = NULL;
    call_kernel(&again, level, 0, call_tasks(&again));
    const int agree = same_numbers(again.args.attention.out, whole->args.attention.out,
                                   output_length(whole->file, "out"));
    call_free(&again);
    return agree;
}

/* Some rows of the head, the best of which are found by a shortlist. */
static int shortlist_agrees(const call *whole, int level, int64_t rows, int threads)
{
    const pyxglm_head_args *all = &whole->args.head;
    const int64_t V = all->V, K = all->K, top = all->top;
    const pyxglm_shortlist_args made = {.codes = array(whole, V * K, 1),
                                        .scales = array(whole, V, sizeof(float)),
                                        .radii = array(whole, V, sizeof(float)),
                                        .w = all->w, .V = V, .K = K};
    const pyxglm_shortlist shortlist = {made.codes, made.scales, made.radii};
    pyxglm_head_args some = {.x = all->x, .w = all->w, .shortlist = &shortlist,
                             .ids = array(whole, rows * top, sizeof(int64_t)),
                             .values = array(whole, rows * top, sizeof(float)),
                             .computed = array(whole, rows, sizeof(int64_t)),
                             .top = top, .M = rows, .V = V, .K = K};
    pyxglm_set_num_threads(threads);
    int agree = pyxglm_run_shortlist(&made, whole->dtype, level) == PYXGLM_OK &&
                pyxglm_run_head(&some, whole->dtype, level) == PYXGLM_OK;
    for (int64_t i = 0; i < rows * top; i++)
        agree = agree && some.ids[i] == all->ids[i];
    agree = agree && same_numbers(some.values, all->values, rows * top);
    free(made.codes);
    free(made.scales);
    free(made.radii);
    free(some.ids);
    free(some.values);
    free(some.computed);
    return agree;
}

const char *relatives_differ(const call *whole, int level)
{
    if (is_linear(whole->op) && whole->args.linear.M > 0) {
        const int64_t M = whole->args.linear.M;
        for (int64_t m = 0; m < M; m += 1 + M / 4)
            if (!rows_agree(whole, level, m, 1))
                return "a row alone differs in a bit from the same row among all";
        if (!rows_agree(whole, level, M / 2, MANY))
            return "a row among 37 differs in a bit from the same row among all";
    }
    if (!strcmp(whole->op, "head") && whole->args.head.top > 0)
        for (int threads = 1; threads <= 3; threads++)
            if (!shortlist_agrees(whole, level, min_i64(threads, whole->args.head.M), threads))
                return "with a shortlist the best differ in a bit";
    if (!strcmp(whole->op, "attention")) {
        const pyxglm_attention_args *a = &whole->args.attention;
        for (int64_t b = 0; b < a->B; b++)
            for (int64_t t = 0; t < a->sequences[b].T; t += 1 + a->sequences[b].T / 8)
                if (!query_agrees(whole, level, a->sequences + b, t))
                    return "a query alone differs in a bit from the same query among all";
        if (!outputs_alone_agree(whole, level))
            return "without weights the outputs differ in a bit";
    }
    return NULL;
}
