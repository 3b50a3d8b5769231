/* The activations. Reference: pyxglm/ops/reference.py and ops/activations.py. */
#include "scalar.h"

#include <math.h>

#define SQRT_HALF 0.70710678118654752
#define SQRT_2_OVER_PI 0.79788456f

/* In double: in float, roundings add up to a little more than 1e-7 |x| near 2. */
static float gelu(float x)
{
    return (float)(0.5 * x * (1.0 + erf(x * SQRT_HALF)));
}

static float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(SQRT_2_OVER_PI * (x + 0.044715f * x * x * x)));
}

/* Written so that NaN stays NaN. */
static float relu(float x)
{
    return x < 0.0f ? 0.0f : x;
}

/* The exponential is of -|x|, so that it cannot overflow. */
static float silu(float x)
{
    const float small = expf(-fabsf(x));
    return x * ((x >= 0.0f ? 1.0f : small) / (1.0f + small));
}

float pyxglm_activate_scalar(float x, int64_t activation)
{
    switch (activation) {
    case PYXGLM_GELU: return gelu(x);
    case PYXGLM_GELU_TANH: return gelu_tanh(x);
    case PYXGLM_RELU: return relu(x);
    case PYXGLM_SILU: return silu(x);
    default: return x;
    }
}

void pyxglm_copy_scalar(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    memmove(a->y + begin, a->x + begin, (size_t)(end - begin) * sizeof *a->y);
}

void pyxglm_gelu_scalar(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        a->y[i] = gelu(a->x[i]);
}

void pyxglm_gelu_tanh_scalar(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        a->y[i] = gelu_tanh(a->x[i]);
}

void pyxglm_relu_scalar(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        a->y[i] = relu(a->x[i]);
}

void pyxglm_silu_scalar(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        a->y[i] = silu(a->x[i]);
}
