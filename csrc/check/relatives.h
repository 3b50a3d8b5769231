/* relatives.h - other calls whose results must be the same, bit for bit. */
#ifndef PYXGLM_RELATIVES_H
#define PYXGLM_RELATIVES_H

#include "calls.h"

/* Computes parts of a finished call again in other company: rows of `linear`
 * alone and among many, queries of attention alone. Returns NULL if the results
 * are those of the call, and otherwise what differs. */
const char *relatives_differ(const call *whole, int level);

#endif
