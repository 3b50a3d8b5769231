/* Layer norm. Reference: pyxglm/ops/reference.py, layer_norm. */
#include "scalar.h"

#include <math.h>

void pyxglm_layer_norm_scalar(const pyxglm_layer_norm_args *a, int64_t begin, int64_t end)
{
    const int64_t D = a->D;
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * D;
        float *y = a->y + r * D;

        float sum[LANES] = {0}, squares[LANES] = {0};
        for (int64_t d = 0; d < D; d++)
            sum[d % LANES] += x[d];
        const float mean = sum_lanes(sum) / (float)D;

        /* The variance is taken of the differences, not as E[x^2] - mean^2,
         * which would cancel to noise when the mean is large. */
        for (int64_t d = 0; d < D; d++) {
            const float centred = x[d] - mean;
            squares[d % LANES] += centred * centred;
        }
        const float variance = sum_lanes(squares) / (float)D;
        const float scale = 1.0f / sqrtf(variance + PYXGLM_LAYER_NORM_EPS);

        for (int64_t d = 0; d < D; d++)
            y[d] = (x[d] - mean) * scale * a->weight[d] + a->bias[d];
    }
}
