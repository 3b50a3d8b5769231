/* Storing keys and values. Reference: pyxglm/ops/reference.py, cache_append.
 *
 * Rows are copied whole, and memcpy copies as fast as the machine can: there is
 * nothing for an instruction set of its own to add. */
#include "scalar.h"

void pyxglm_cache_append_scalar(const pyxglm_cache_append_args *a, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row++) {
        const int64_t t = row % a->T, head = row / a->T; /* of all sequences */
        const int64_t b = head / a->H, h = head % a->H;
        const int64_t at = (head * a->S + a->start + t) * a->K;
        const size_t bytes = (size_t)a->K * sizeof(float);
        memcpy(a->k_room + at, a->k + b * a->k_b + h * a->k_h + t * a->k_t, bytes);
        memcpy(a->v_room + at, a->v + b * a->v_b + h * a->v_h + t * a->v_t, bytes);
    }
}
