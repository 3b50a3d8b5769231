/* Filling in the structs of pyxglm.h from a case, and calling by them. */
#include "calls.h"

#include <math.h>
#include <stdlib.h>

/* An input's copy; NULL if the case has none. Weights stand at an odd address,
 * as they may in a file; the copy ends where its memory ends. */
static void *input(call *made, const char *name)
{
    const record found = case_find(made->file, "array", name);
    if (!found.content)
        return NULL;
    const int odd = !strcmp(name, "w") || !strcmp(name, "embed");
    char *memory = malloc((size_t)(found.bytes + odd));
    if (!memory && found.bytes + odd)
        fail(made->file->path, "there is no memory for it");
    if (found.bytes)
        memcpy(memory + odd, found.content, (size_t)found.bytes);
    made->input_names[made->inputs] = name;
    made->allocated[made->inputs] = memory;
    made->input[made->inputs] = memory + odd;
    return made->input[made->inputs++];
}

int64_t output_length(const case_file *file, const char *name)
{
    const record found = case_find(file, "output", name);
    int64_t length = 0;
    if (found.content)
        memcpy(&length, found.content, 8);
    return length;
}

static float *output(call *made, const char *name)
{
    if (!case_find(made->file, "output", name).content)
        return NULL;
    const int64_t length = output_length(made->file, name);
    float *memory = malloc((size_t)length * sizeof *memory);
    if (!memory && length)
        fail(made->file->path, "there is no memory for it");
    for (int64_t i = 0; i < length; i++) {
        const uint32_t canary = CANARY;
        memcpy(memory + i, &canary, sizeof canary);
    }
    made->output_names[made->outputs] = name;
    made->output[made->outputs++] = memory;
    return memory;
}

int is_linear(const char *op)
{
    return !strcmp(op, "linear") || !strcmp(op, "linear_coarse");
}

static int is_head(const char *op)
{
    return !strcmp(op, "head") || !strcmp(op, "head_coarse");
}

static int activation_of(const char *op)
{
    static const char *const names[PYXGLM_ACTIVATIONS] = {
        [PYXGLM_LINEAR] = "", [PYXGLM_GELU] = "gelu", [PYXGLM_GELU_TANH] = "gelu_tanh",
        [PYXGLM_RELU] = "relu", [PYXGLM_SILU] = "silu"};
    for (int i = 1; i < PYXGLM_ACTIVATIONS; i++)
        if (!strcmp(op, names[i]))
            return i;
    return 0;
}

#define NUMBER(name) case_number(file, name)

static void fill_attention(call *made)
{
    const case_file *file = made->file;
    pyxglm_attention_args *a = &made->args.attention;
    a->out = output(made, "out");
    a->weights = output(made, "weights");
    a->q = input(made, "q");
    a->k = input(made, "k");
    a->v = input(made, "v");
    a->keys = input(made, "keys");
    a->visible = input(made, "visible");
    a->head_mask = input(made, "head_mask");
    a->sequences = input(made, "sequences");
    a->causal = NUMBER("causal");
    a->B = NUMBER("B");
    a->H = NUMBER("H");
    a->K = NUMBER("K");
    a->out_t = NUMBER("out_t");
    a->out_h = NUMBER("out_h");
    a->q_t = NUMBER("q_t");
    a->q_h = NUMBER("q_h");
    a->k_s = NUMBER("k_s");
    a->k_h = NUMBER("k_h");
    a->v_s = NUMBER("v_s");
    a->v_h = NUMBER("v_h");
}

static void fill_linear(call *made)
{
    const case_file *file = made->file;
    pyxglm_linear_args *a = &made->args.linear;
    a->y = output(made, "y");
    a->x = input(made, "x");
    a->rounded = input(made, "rounded"); /* of the coarse product */
    a->w = input(made, "w");
    a->bias = input(made, "bias");
    a->residual = input(made, "residual");
    a->activation = NUMBER("activation");
    a->M = NUMBER("M");
    a->N = NUMBER("N");
    a->K = NUMBER("K");
    a->y_stride = NUMBER("y_stride");
}

static void fill_cache_append(call *made)
{
    const case_file *file = made->file;
    pyxglm_cache_append_args *a = &made->args.cache_append;
    a->k_room = output(made, "k_room");
    a->v_room = output(made, "v_room");
    a->k = input(made, "k");
    a->v = input(made, "v");
    a->start = NUMBER("start");
    a->S = NUMBER("S");
    a->B = NUMBER("B");
    a->H = NUMBER("H");
    a->T = NUMBER("T");
    a->K = NUMBER("K");
    a->k_b = NUMBER("k_b");
    a->k_h = NUMBER("k_h");
    a->k_t = NUMBER("k_t");
    a->v_b = NUMBER("v_b");
    a->v_h = NUMBER("v_h");
    a->v_t = NUMBER("v_t");
}

static void fill_head(call *made)
{
    const case_file *file = made->file;
    pyxglm_head_args *a = &made->args.head;
    a->x = input(made, "x");
    a->w = input(made, "w");
    a->ids = (int64_t *)(void *)output(made, "ids"); /* two floats of room for each */
    a->values = output(made, "values");
    a->targets = input(made, "targets");
    a->target_logits = output(made, "target_logits");
    a->log_sums = output(made, "log_sums");
    a->top = NUMBER("top");
    a->M = NUMBER("M");
    a->V = NUMBER("V");
    a->K = NUMBER("K");
}

call call_new(const case_file *file)
{
    call made = {.file = file, .op = case_op(file), .dtype = case_dtype(file)};
    made.activation = activation_of(made.op);
    if (!strcmp(made.op, "attention")) {
        fill_attention(&made);
    } else if (is_linear(made.op)) {
        fill_linear(&made);
    } else if (!strcmp(made.op, "cache_append")) {
        fill_cache_append(&made);
    } else if (is_head(made.op)) {
        fill_head(&made);
    } else if (!strcmp(made.op, "embed")) {
        pyxglm_embed_args *a = &made.args.embed;
        a->hidden = output(&made, "hidden");
        a->ids = input(&made, "ids");
        a->positions = input(&made, "positions");
        a->embed = input(&made, "embed");
        a->table = input(&made, "table");
        a->scale = (float)case_real(file, "scale");
        a->rows = NUMBER("rows");
        a->D = NUMBER("D");
    } else if (!strcmp(made.op, "layer_norm")) {
        pyxglm_layer_norm_args *a = &made.args.layer_norm;
        a->y = output(&made, "y");
        a->x = input(&made, "x");
        a->weight = input(&made, "weight");
        a->bias = input(&made, "bias");
        a->rows = NUMBER("rows");
        a->D = NUMBER("D");
    } else {
        pyxglm_map_args *a = &made.args.map;
        a->y = output(&made, "y");
        a->x = input(&made, "x");
        a->rows = NUMBER("rows");
        a->width = NUMBER("width");
    }
    return made;
}

void call_free(call *made)
{
    for (int i = 0; i < made->inputs; i++)
        free(made->allocated[i]);
    for (int i = 0; i < made->outputs; i++)
        free(made->output[i]);
}

int inputs_are_unchanged(const case_file *file, const call *made)
{
    for (int i = 0; i < made->inputs; i++) {
        const record found = case_find(file, "array", made->input_names[i]);
        if (found.bytes && memcmp(made->input[i], found.content, (size_t)found.bytes))
            return 0;
    }
    return 1;
}

int same_numbers(const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (memcmp(a + i, b + i, sizeof *a) && !(isnan(a[i]) && isnan(b[i])))
            return 0;
    return 1;
}

int64_t call_tasks(const call *made)
{
    if (!strcmp(made->op, "attention"))
        return pyxglm_attention_tasks(&made->args.attention);
    if (is_linear(made->op))
        return made->args.linear.N;
    if (!strcmp(made->op, "cache_append"))
        return made->args.cache_append.B * made->args.cache_append.H * made->args.cache_append.T;
    if (is_head(made->op))
        return 1;
    if (!strcmp(made->op, "embed"))
        return made->args.embed.rows;
    if (!strcmp(made->op, "layer_norm"))
        return made->args.layer_norm.rows;
    return made->args.map.rows;
}

void call_attention(const case_file *file, const pyxglm_attention_args *a, int level,
                    int64_t begin, int64_t end)
{
    const size_t count = (size_t)pyxglm_attention_scratch(a);
    void *scratch = NULL;
    if (posix_memalign(&scratch, 64, count * sizeof(float)))
        fail(file->path, "there is no memory for its scratch");
    memset(scratch, 0xff, count * sizeof(float)); /* NaN */
    pyxglm_table(level)->attention(a, begin, end, scratch);
    free(scratch);
}

void call_kernel(call *made, int level, int64_t begin, int64_t end)
{
    const pyxglm_kernels *table = pyxglm_table(level);
    if (!strcmp(made->op, "attention"))
        call_attention(made->file, &made->args.attention, level, begin, end);
    else if (!strcmp(made->op, "linear"))
        table->linear[made->dtype](&made->args.linear, begin, end);
    else if (!strcmp(made->op, "linear_coarse"))
        table->linear_coarse[made->dtype](&made->args.linear, begin, end);
    else if (!strcmp(made->op, "cache_append"))
        table->cache_append(&made->args.cache_append, begin, end);
    else if (!strcmp(made->op, "head"))
        pyxglm_run_head(&made->args.head, made->dtype, level);
    else if (!strcmp(made->op, "head_coarse"))
        pyxglm_run_head_coarse(&made->args.head, made->dtype, level);
    else if (!strcmp(made->op, "embed"))
        table->embed[made->dtype](&made->args.embed, begin, end);
    else if (!strcmp(made->op, "layer_norm"))
        table->layer_norm(&made->args.layer_norm, begin, end);
    else if (!strcmp(made->op, "softmax"))
        table->softmax(&made->args.map, begin, end);
    else if (!strcmp(made->op, "log_softmax"))
        table->log_softmax(&made->args.map, begin, end);
    else
        table->activation[made->activation](&made->args.map, begin, end);
}

int call_run(call *made, int level)
{
    if (!strcmp(made->op, "attention"))
        return pyxglm_run_attention(&made->args.attention, level);
    if (!strcmp(made->op, "linear"))
        return pyxglm_run_linear(&made->args.linear, made->dtype, level);
    if (!strcmp(made->op, "linear_coarse"))
        return pyxglm_run_linear_coarse(&made->args.linear, made->dtype, level);
    if (!strcmp(made->op, "cache_append"))
        return pyxglm_run_cache_append(&made->args.cache_append, level);
    if (!strcmp(made->op, "head"))
        return pyxglm_run_head(&made->args.head, made->dtype, level);
    if (!strcmp(made->op, "head_coarse"))
        return pyxglm_run_head_coarse(&made->args.head, made->dtype, level);
    if (!strcmp(made->op, "embed"))
        return pyxglm_run_embed(&made->args.embed, case_number(made->file, "V"),
                                case_number(made->file, "P"), made->dtype, level);
    if (!strcmp(made->op, "layer_norm"))
        return pyxglm_run_layer_norm(&made->args.layer_norm, level);
    if (!strcmp(made->op, "softmax"))
        return pyxglm_run_softmax(&made->args.map, level);
    if (!strcmp(made->op, "log_softmax"))
        return pyxglm_run_log_softmax(&made->args.map, level);
    return pyxglm_run_activation(&made->args.map, made->activation, level);
}
