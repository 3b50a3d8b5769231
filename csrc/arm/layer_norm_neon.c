/* Layer norm. Reference: pyxglm/ops/reference.py, layer_norm.
 *
 * Three walks over a row that is in L1 after the first: mean, variance,
 * result. Sums run in 16 lanes (4 vectors), because one chain of additions
 * would wait for its latency at each vector; so the order depends on D alone.
 *
 * The mean that the first walk finds is rounded. The second also adds up the
 * differences themselves, which would be 0 for the true mean, and moves mean
 * and variance by what it finds (Chan, Golub and LeVeque 1983, "corrected
 * two-pass"): a row of 1e4 + small numbers keeps its digits. */
#include "arm.h"
#include "lanes_neon.h"

#include <math.h>

#define CHAINS 4
#define WIDTH (CHAINS * LANES)

/* The sums of one walk, and of another beside it. */
typedef struct chains {
    float32x4_t of[CHAINS];
} chains;

PYXGLM_INLINE chains no_sums(void)
{
    const float32x4_t zero = vdupq_n_f32(0.0f);
    return (chains){{zero, zero, zero, zero}};
}

PYXGLM_INLINE float total(const chains *sum)
{
    return sum_of(vaddq_f32(vaddq_f32(sum->of[0], sum->of[1]), vaddq_f32(sum->of[2], sum->of[3])));
}

PYXGLM_INLINE float mean_of(const float *x, int64_t D)
{
    chains sum = no_sums();
    int64_t d = 0;
    for (; d + WIDTH <= D; d += WIDTH)
#pragma GCC unroll 4
        for (int i = 0; i < CHAINS; i++)
            sum.of[i] = vaddq_f32(sum.of[i], vld1q_f32(x + d + i * LANES));
    for (; d < D; d += LANES)
        sum.of[0] = vaddq_f32(sum.of[0], load_first(x + d, D - d));
    return total(&sum) / (float)D;
}

/* The mean of (x - mean)^2, corrected by the mean of x - mean, which goes to `shift`. */
PYXGLM_INLINE float variance_of(const float *x, int64_t D, float mean, float *shift)
{
    const float32x4_t mean_f32x4 = vdupq_n_f32(mean);
    chains squares = no_sums(), excess = no_sums();
    int64_t d = 0;
    for (; d + WIDTH <= D; d += WIDTH)
#pragma GCC unroll 4
        for (int i = 0; i < CHAINS; i++) {
            const float32x4_t centred = vsubq_f32(vld1q_f32(x + d + i * LANES), mean_f32x4);
            squares.of[i] = vfmaq_f32(squares.of[i], centred, centred);
            excess.of[i] = vaddq_f32(excess.of[i], centred);
        }
    for (; d < D; d += LANES) {
        const float32x4_t centred =
            keep_f32x4(first_lanes(D - d), vsubq_f32(load_first(x + d, D - d), mean_f32x4));
        squares.of[0] = vfmaq_f32(squares.of[0], centred, centred);
        excess.of[0] = vaddq_f32(excess.of[0], centred);
    }
    *shift = total(&excess) / (float)D;
    const float square = *shift * *shift; /* infinite only where squares are, too */
    return total(&squares) / (float)D - (square == INFINITY ? 0.0f : square);
}

void pyxglm_layer_norm_neon(const pyxglm_layer_norm_args *a, int64_t begin, int64_t end)
{
    const int64_t D = a->D;
    for (int64_t r = begin; r < end; r++) {
        const float *x = a->x + r * D;
        float *y = a->y + r * D, shift;
        const float mean = mean_of(x, D), variance = variance_of(x, D, mean, &shift);
        const float scale = 1.0f / sqrtf(variance + PYXGLM_LAYER_NORM_EPS);
        for (int64_t d = 0; d < D; d += LANES) {
            const int64_t left = D - d;
            const float32x4_t rough = vsubq_f32(load_first(x + d, left), vdupq_n_f32(mean));
            const float32x4_t normal =
                vmulq_f32(vsubq_f32(rough, vdupq_n_f32(shift)), vdupq_n_f32(scale));
            store_first(y + d, left, vfmaq_f32(load_first(a->bias + d, left), normal,
                                               load_first(a->weight + d, left)));
        }
    }
}
