/* calls.h - a case as one call of a kernel, on memory of its own. */
#ifndef PYXGLM_CALLS_H
#define PYXGLM_CALLS_H

#include "case.h"

/* What outputs hold before they are written: a NaN of its own. */
#define CANARY UINT32_C(0x7feadead)

#define MOST_INPUTS 8
#define MOST_OUTPUTS 4

typedef struct call {
    const case_file *file;
    const char *op;
    int dtype;
    int activation; /* of the stand-alone activations */
    union {
        pyxglm_embed_args embed;
        pyxglm_layer_norm_args layer_norm;
        pyxglm_map_args map;
        pyxglm_linear_args linear;
        pyxglm_attention_args attention;
        pyxglm_cache_append_args cache_append;
        pyxglm_head_args head;
    } args;
    int inputs, outputs;
    const char *input_names[MOST_INPUTS], *output_names[MOST_OUTPUTS];
    char *input[MOST_INPUTS], *allocated[MOST_INPUTS];
    float *output[MOST_OUTPUTS];
} call;

/* Copies a case's arrays, each into memory of exactly its size. */
call call_new(const case_file *file);
void call_free(call *made);

/* The end of the largest range; the kernel of a level on a range; the entry
 * point, which returns its code. The head has an entry point only, which is
 * called as one task. */
int64_t call_tasks(const call *made);
void call_kernel(call *made, int level, int64_t begin, int64_t end);
int call_run(call *made, int level);

/* Whether an operation is a product, exact or coarse. */
int is_linear(const char *op);

/* Attention in scratch memory of exactly the size it asks for. */
void call_attention(const case_file *file, const pyxglm_attention_args *a, int level,
                    int64_t begin, int64_t end);

/* Whether `count` numbers are the same bit for bit; any NaN is as good as another. */
int same_numbers(const float *a, const float *b, int64_t count);

int inputs_are_unchanged(const case_file *file, const call *made);
int64_t output_length(const case_file *file, const char *name);

#endif
