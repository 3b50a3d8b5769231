/* The standalone checker: cases from files, kernels, and nothing else.
 *
 *     driver CASE...
 *
 * What Python does in pyxglm/check is done there better; this program is small
 * so that sanitizers (address, undefined behaviour, threads) and emulators of
 * other machines can run it. Every array is a piece of memory of exactly its
 * size, so that the address sanitizer sees the first wrong byte.
 *
 * For every case and every level of this machine: the kernel on all of it and
 * on ranges in reverse order, compared with the reference; parts of it alone and
 * in other company, the entry point on one to three threads, and from several
 * threads at once, compared with that bit for bit. Then one line for each level
 * says how many kernels of its own it has, and which no case has tried. Exit code 1 if anything is wrong, 2 for files that cannot be
 * used. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "relatives.h"

#define CALLERS 3
#define MOST_THREADS 3

static int64_t complaints;

static void complain(const case_file *file, int level, const char *how, const char *what)
{
    printf("%s: %s: %s: %s\n", file->path, pyxglm_level_name(level), how, what);
    complaints++;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Compares one output with the reference. */
static void compare_output(const case_file *file, int level, const char *how, const char *name,
                           const float *result)
{
    const record places = case_find(file, "places", name);
    const record expected = case_find(file, "expected", name);
    const record bound = case_find(file, "bound", name);
    const int64_t length = output_length(file, name);
    if (!places.content || places.bytes != expected.bytes || places.bytes != bound.bytes)
        fail(file->path, "has places, results and bounds that do not match");
    unsigned char *known = calloc((size_t)length + 1, 1);
    if (!known)
        fail(file->path, "there is no memory for it");
    int told = 0; /* the first wrong number is enough */
    for (int64_t i = 0; i < places.bytes / 8; i++) {
        int64_t place;
        double wanted, allowed;
        memcpy(&place, places.content + 8 * i, 8);
        memcpy(&wanted, expected.content + 8 * i, 8);
        memcpy(&allowed, bound.content + 8 * i, 8);
        if (place < 0 || place >= length)
            fail(file->path, "has a place outside of its output");
        known[place] = 1;
        const double got = (double)result[place];
        const int right = !isfinite(wanted) ? !isfinite(got)
                                            : isinf(allowed) || fabs(got - wanted) <= allowed;
        if (!right && !told) {
            char text[120];
            snprintf(text, sizeof text, "%s[%lld] is %.9g, expected %.9g within %.3g", name,
                     (long long)place, got, wanted, allowed);
            complain(file, level, how, text);
            told = 1;
        }
    }
    for (int64_t i = 0; i < length; i++)
        if (!known[i] && bits_of(result[i]) != CANARY) {
            complain(file, level, how, "wrote between the rows of its output");
            break;
        }
    free(known);
}

static void compare(const case_file *file, int level, const char *how, const call *made)
{
    for (int i = 0; i < made->outputs; i++)
        compare_output(file, level, how, made->output_names[i], made->output[i]);
    if (!inputs_are_unchanged(file, made))
        complain(file, level, how, "changed an input");
}

/* Compares two calls' outputs bit for bit. */
static void compare_bits(const case_file *file, int level, const char *how, const call *made,
                         const call *first)
{
    for (int i = 0; i < made->outputs; i++)
        if (!same_numbers(made->output[i], first->output[i],
                          output_length(file, made->output_names[i]))) {
            complain(file, level, how, "differs in a bit from one call on one thread");
            return;
        }
}

/* exp_sum has no cases of its own: log_softmax is x - max - log(sum). */
static void check_exp_sum(const case_file *file, int level)
{
    call made = call_new(file);
    const pyxglm_map_args *a = &made.args.map;
    for (int64_t r = 0; r < a->rows && a->width > 0; r++) {
        float max, sum;
        pyxglm_table(level)->exp_sum(a->x + r * a->width, a->width, &max, &sum);
        for (int64_t i = r * a->width; i < (r + 1) * a->width; i++)
            a->y[i] = (float)((double)a->x[i] - max - log((double)sum));
    }
    compare(file, level, "exp_sum", &made);
    call_free(&made);
}

/* One of several callers at once. */
typedef struct caller {
    const case_file *file;
    int level, code;
    call made;
} caller;

static void *call_on_threads(void *context)
{
    caller *one = context;
    one->code = call_run(&one->made, one->level);
    return NULL;
}

static void check_callers(const case_file *file, int level, const call *first)
{
    pthread_t threads[CALLERS];
    caller callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){file, level, -1, call_new(file)};
        if (pthread_create(&threads[i], NULL, call_on_threads, &callers[i]))
            fail(file->path, "there is no thread for it");
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        if (callers[i].code != PYXGLM_OK)
            complain(file, level, "several callers", "the entry point failed");
        compare_bits(file, level, "several callers", &callers[i].made, first);
        call_free(&callers[i].made);
    }
}

static void check(const case_file *file, int level)
{
    call first = call_new(file);
    const int64_t tasks = call_tasks(&first);
    call_kernel(&first, level, 0, tasks);
    compare(file, level, "at once", &first);
    if (!strcmp(first.op, "log_softmax"))
        check_exp_sum(file, level);
    const char *different = relatives_differ(&first, level);
    if (different)
        complain(file, level, "in other company", different);

    call ranges = call_new(file);
    for (int64_t end = tasks; end > 0;) {
        const int64_t begin = end > 3 ? end - 1 - end % 7 % 3 - end / 4 : 0;
        call_kernel(&ranges, level, begin, end);
        end = begin;
    }
    compare_bits(file, level, "in ranges", &ranges, &first);
    call_free(&ranges);

    for (int count = 1; count <= MOST_THREADS; count++) {
        call made = call_new(file);
        pyxglm_set_num_threads(count);
        if (call_run(&made, level) != PYXGLM_OK)
            complain(file, level, "on threads", "the entry point failed");
        compare_bits(file, level, "on threads", &made, &first);
        call_free(&made);
    }
    check_callers(file, level, &first);
    call_free(&first);
}

/* Whether a case of `op` and a stored dtype tries an entry of the table. */
static int tries(const char *op, int dtype, const char *entry)
{
    static const char *const suffixes[PYXGLM_DTYPES] = {"_f32", "_f16", "_bf16", "_i8"};
    char name[40];
    snprintf(name, sizeof name, "%s%s", op, suffixes[dtype]);
    return !strcmp(entry, name) || !strcmp(entry, op) ||
           (!strncmp(entry, "activation_", 11) && !strcmp(entry + 11, op) &&
            strcmp(op, "linear") != 0) ||
           (!strcmp(op, "log_softmax") && !strcmp(entry, "exp_sum"));
}

/* The line of a level: its own kernels, and those of them that nothing tried. */
static void report(int level, int count, const case_file *files)
{
    int own = 0;
    const char *entry;
    for (int i = 0; (entry = pyxglm_entry_name(i)); i++)
        own += pyxglm_serving_level(level, i) == level;
    printf("%s: %d cases, %d kernels of its own", pyxglm_level_name(level), count, own);
    const char *before = "; not tried: ";
    for (int i = 0; (entry = pyxglm_entry_name(i)); i++) {
        int tried = pyxglm_serving_level(level, i) != level;
        for (int j = 0; j < count && !tried; j++)
            tried = tries(case_op(files + j), case_dtype(files + j), entry);
        if (!tried) {
            printf("%s%s", before, entry);
            before = ", ";
        }
    }
    printf("\n");
}

int main(int count, char **paths)
{
    if (count < 2) {
        fprintf(stderr, "usage: %s CASE...\n", paths[0]);
        return 2;
    }
    case_file *files = calloc((size_t)count, sizeof *files);
    if (!files)
        fail(paths[0], "there is no memory for the cases");
    for (int i = 1; i < count; i++)
        files[i] = case_read(paths[i]);
    int levels = 0;
    for (int level = 0; level < PYXGLM_LEVELS; level++) {
        if (!pyxglm_level_available(level)) {
            printf("this machine cannot run: %s\n", pyxglm_level_name(level));
            continue;
        }
        levels++;
        for (int i = 1; i < count; i++)
            check(&files[i], level);
        report(level, count - 1, files + 1);
    }
    for (int i = 1; i < count; i++)
        case_free(&files[i]);
    free(files);
    printf("%d cases on %d levels, %lld complaints\n", count - 1, levels, (long long)complaints);
    return complaints ? 1 : 0;
}
