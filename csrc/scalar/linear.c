/* y = activation(x w^T + bias) + residual. Reference: pyxglm/ops/reference.py, linear.
 *
 * A row of w is widened by chunks into a small buffer and multiplied with up
 * to ROWS rows of x, so that widening is paid once for all of them. Every
 * output adds up its products in 16 lanes along K, whatever the chunk, and
 * whatever other rows are computed beside it. */
#include "scalar.h"

#define ROWS 8
#define CHUNK 512 /* a multiple of LANES */

/* Adds the products of one chunk to a row's lanes. */
PYXGLM_INLINE void add_chunk(float lane[LANES], const float *x, const float *w, int64_t width)
{
    int64_t k = 0;
    for (; k + LANES <= width; k += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] += x[k + i] * w[k + i];
    for (int i = 0; k + i < width; i++)
        lane[i] += x[k + i] * w[k + i];
}

PYXGLM_INLINE void linear(const pyxglm_linear_args *a, int64_t begin, int64_t end, int dtype)
{
    float wide[CHUNK];
    for (int64_t n = begin; n < end; n++) {
        const char *w = (const char *)a->w + n * a->K * pyxglm_itemsize(dtype);
        for (int64_t m0 = 0; m0 < a->M; m0 += ROWS) {
            const int64_t m1 = m0 + ROWS < a->M ? m0 + ROWS : a->M;
            float lanes[ROWS][LANES] = {{0}};
            for (int64_t k = 0; k < a->K; k += CHUNK) {
                const int64_t width = a->K - k < CHUNK ? a->K - k : CHUNK;
                for (int64_t i = 0; i < width; i++)
                    wide[i] = pyxglm_weight(w, k + i, dtype);
                for (int64_t m = m0; m < m1; m++)
                    add_chunk(lanes[m - m0], a->x + m * a->K + k, wide, width);
            }
            for (int64_t m = m0; m < m1; m++) {
                const int64_t at = m * a->y_stride + n;
                float sum = sum_lanes(lanes[m - m0]);
                if (a->bias)
                    sum += a->bias[n];
                sum = pyxglm_activate_scalar(sum, a->activation);
                a->y[at] = a->residual ? sum + a->residual[at] : sum;
            }
        }
    }
}

void pyxglm_linear_f32_scalar(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_F32);
}

void pyxglm_linear_f16_scalar(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_F16);
}

void pyxglm_linear_bf16_scalar(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_BF16);
}

void pyxglm_linear_i8_scalar(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear(a, begin, end, PYXGLM_I8);
}

/* bf16(x) bf16(w)^T: the same sums, of rounded numbers. */
PYXGLM_INLINE void linear_coarse(const pyxglm_linear_args *a, int64_t begin, int64_t end,
                                 int dtype)
{
    const pyxglm_linear_args of_rounded = pyxglm_of_rounded(a);
    linear(&of_rounded, begin, end, dtype);
}

void pyxglm_linear_coarse_f32_scalar(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F32 | PYXGLM_ROUNDED);
}

void pyxglm_linear_coarse_f16_scalar(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_F16 | PYXGLM_ROUNDED);
}

void pyxglm_linear_coarse_bf16_scalar(const pyxglm_linear_args *a, int64_t begin, int64_t end)
{
    linear_coarse(a, begin, end, PYXGLM_BF16);
}
