/* Programs: calls in a row. See pyxglm.h. */
#include "grain.h"

static void multiply_range(void *context, int64_t begin, int64_t end)
{
    const pyxglm_multiply_args *a = context;
    for (int64_t i = begin; i < end; i++)
        a->y[i] = a->x[i] * a->factor;
}

static int multiply(pyxglm_multiply_args *a)
{
    pyxglm_parallel(multiply_range, a, a->count, grain_of(a->count, 1, MIN_ELEMENTS));
    return PYXGLM_OK;
}

static int run_step(const pyxglm_step *step, int level)
{
    switch (step->kind) {
    case PYXGLM_STEP_LAYER_NORM: return pyxglm_run_layer_norm(step->args, level);
    case PYXGLM_STEP_LINEAR: return pyxglm_run_linear(step->args, (int)step->dtype, level);
    case PYXGLM_STEP_LINEAR_COARSE:
        return pyxglm_run_linear_coarse(step->args, (int)step->dtype, level);
    case PYXGLM_STEP_CACHE_APPEND: return pyxglm_run_cache_append(step->args, level);
    case PYXGLM_STEP_ATTENTION: return pyxglm_run_attention(step->args, level);
    default: return multiply(step->args);
    }
}

int pyxglm_run_steps(const pyxglm_step *steps, int64_t count, int level)
{
    for (int64_t i = 0; i < count; i++) {
        const int status = run_step(&steps[i], level);
        if (status != PYXGLM_OK)
            return status;
    }
    return PYXGLM_OK;
}

void pyxglm_next_token(const pyxglm_step *steps, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (steps[i].kind == PYXGLM_STEP_CACHE_APPEND) {
            pyxglm_cache_append_args *a = steps[i].args;
            a->start++;
        } else if (steps[i].kind == PYXGLM_STEP_ATTENTION) {
            const pyxglm_attention_args *a = steps[i].args;
            for (int64_t b = 0; b < a->B; b++)
                ((pyxglm_sequence *)a->sequences)[b].S++; /* the caller's, and writable */
        }
}
