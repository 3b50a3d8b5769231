/* Softmax and its logarithm. Reference: pyxglm/ops/reference.py.
 *
 * The maximum is subtracted first. NaN must come through: comparisons with it
 * are false, so it becomes the maximum only if it comes first; either way an exp
 * is NaN, and so is the sum. */
#include "scalar.h"

#include <math.h>

static float row_max(const float *x, int64_t width)
{
    float max = x[0];
    for (int64_t i = 1; i < width; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

void pyxglm_softmax_scalar(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    const int64_t width = a->width;
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float max = row_max(x, width);
        float sum[LANES] = {0};
        for (int64_t i = 0; i < width; i++) {
            y[i] = expf(x[i] - max);
            sum[i % LANES] += y[i];
        }
        const float total = sum_lanes(sum);
        for (int64_t i = 0; i < width; i++)
            y[i] /= total;
    }
}

void pyxglm_log_softmax_scalar(const pyxglm_map_args *a, int64_t begin, int64_t end)
{
    const int64_t width = a->width;
    for (int64_t r = begin; r < end && width > 0; r++) {
        const float *x = a->x + r * width;
        float *y = a->y + r * width;
        const float max = row_max(x, width);
        float sum[LANES] = {0};
        for (int64_t i = 0; i < width; i++)
            sum[i % LANES] += expf(x[i] - max);
        const float log_total = logf(sum_lanes(sum));
        for (int64_t i = 0; i < width; i++)
            y[i] = x[i] - max - log_total;
    }
}

void pyxglm_exp_sum_scalar(const float *x, int64_t width, float *max, float *sum)
{
    float lane[LANES] = {0};
    *max = row_max(x, width);
    for (int64_t i = 0; i < width; i++)
        lane[i % LANES] += expf(x[i] - *max);
    *sum = sum_lanes(lane);
}
