/* The table of kernels, one for each level.
 *
 * A level's table is the table of the level below with its own kernels written
 * over it, as in dav1d. So a level need not have every kernel; and whether it
 * has one can be seen by comparing the two tables.
 */
#include "internal.h"

#include <pthread.h>
#include <stdatomic.h>

static const struct {
    const char *name;
    int below; /* the level whose table it starts from */
    void (*fill)(pyxglm_kernels *table); /* NULL: no kernels in this build */
    int (*works)(void); /* a trial of what CPU and system promise; NULL: not needed */
} levels[PYXGLM_LEVELS] = {
    [PYXGLM_SCALAR] = {"scalar", -1, pyxglm_fill_scalar, NULL},
#if PYXGLM_X86
    [PYXGLM_AVX2] = {"avx2", PYXGLM_SCALAR, pyxglm_fill_avx2, NULL},
    [PYXGLM_AVX512] = {"avx512", PYXGLM_AVX2, pyxglm_fill_avx512, NULL},
    [PYXGLM_AMX] = {"amx", PYXGLM_AVX512, pyxglm_fill_amx, pyxglm_amx_works},
#else
    [PYXGLM_AVX2] = {"avx2", PYXGLM_SCALAR, NULL, NULL},
    [PYXGLM_AVX512] = {"avx512", PYXGLM_AVX2, NULL, NULL},
    [PYXGLM_AMX] = {"amx", PYXGLM_AVX512, NULL, NULL},
#endif
#if PYXGLM_ARM
    [PYXGLM_NEON] = {"neon", PYXGLM_SCALAR, pyxglm_fill_neon, NULL},
#else
    [PYXGLM_NEON] = {"neon", PYXGLM_SCALAR, NULL, NULL},
#endif
};

/* The table is nothing but pointers, so it can also be walked by index. */
static const char *const entry_names[] = {
    "embed_f32",       "embed_f16",          "embed_bf16",         "layer_norm",
    "softmax",         "log_softmax",        "exp_sum",            "activation_linear",
    "activation_gelu", "activation_gelu_tanh", "activation_relu",  "activation_silu",
    "linear_f32",      "linear_f16",         "linear_bf16",        "linear_i8",
    "linear_coarse_f32", "linear_coarse_f16", "linear_coarse_bf16", "attention",
    "cache_append",
};
#define ENTRIES ((int)(sizeof entry_names / sizeof *entry_names))
_Static_assert(sizeof(pyxglm_kernels) == sizeof entry_names / sizeof *entry_names * sizeof(void *),
               "entry_names lists the members of pyxglm_kernels, in order");

static pyxglm_kernels tables[PYXGLM_LEVELS];
static int available[PYXGLM_LEVELS];
static atomic_int current;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (int level = 0; level < PYXGLM_LEVELS; level++) {
        const int below = levels[level].below;
        if (below >= 0)
            tables[level] = tables[below];
        if (!levels[level].fill || !pyxglm_cpu_has(level))
            continue;
        if (levels[level].works && !levels[level].works())
            continue;
        levels[level].fill(&tables[level]);
        available[level] = 1;
        atomic_store(&current, level);
    }
}

static int is_level(int level)
{
    return level >= 0 && level < PYXGLM_LEVELS;
}

const char *pyxglm_level_name(int level)
{
    return is_level(level) ? levels[level].name : NULL;
}

int pyxglm_level_available(int level)
{
    pthread_once(&once, fill_tables);
    return is_level(level) && available[level];
}

int pyxglm_level(void)
{
    pthread_once(&once, fill_tables);
    return atomic_load_explicit(&current, memory_order_relaxed);
}

int pyxglm_use_level(int level)
{
    if (!pyxglm_level_available(level))
        return PYXGLM_NO_LEVEL;
    atomic_store(&current, level);
    return PYXGLM_OK;
}

const pyxglm_kernels *pyxglm_table(int level)
{
    if (level == -1)
        level = pyxglm_level();
    return pyxglm_level_available(level) ? &tables[level] : NULL;
}

const char *pyxglm_entry_name(int entry)
{
    return entry >= 0 && entry < ENTRIES ? entry_names[entry] : NULL;
}

/* The kernel's address, whatever its type. */
static uintptr_t entry_of(int level, int entry)
{
    uintptr_t address;
    memcpy(&address, (const char *)&tables[level] + (size_t)entry * sizeof address,
           sizeof address);
    return address;
}

int pyxglm_serving_level(int level, int entry)
{
    if (!pyxglm_level_available(level) || !pyxglm_entry_name(entry))
        return -1;
    while (levels[level].below >= 0 &&
           entry_of(level, entry) == entry_of(levels[level].below, entry))
        level = levels[level].below;
    return level;
}
