/* Memory that threads keep.
 *
 * A fresh page costs the kernel ten times what its use costs us, so memory that
 * one call needs is kept for the next. Each thread has its own; it goes when
 * the thread does.
 */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>

#define ALIGNMENT 64

typedef struct block {
    void *memory;
    size_t bytes;
} block;

static pthread_key_t key;
static int have_key; /* else another library's key 0 would be taken for it */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void release(void *blocks)
{
    for (int use = 0; use < PYXGLM_SCRATCH_USES; use++)
        free(((block *)blocks)[use].memory);
    free(blocks);
}

static void make_key(void)
{
    have_key = pthread_key_create(&key, release) == 0;
}

static block *own_blocks(void)
{
    static _Thread_local block *own;
    if (own)
        return own;
    pthread_once(&once, make_key);
    if (!have_key)
        return NULL;
    block *blocks = calloc(PYXGLM_SCRATCH_USES, sizeof *blocks);
    if (blocks && pthread_setspecific(key, blocks)) {
        free(blocks);
        blocks = NULL;
    }
    return own = blocks;
}

void *pyxglm_scratch(int use, size_t bytes)
{
    block *blocks = own_blocks();
    if (!blocks)
        return NULL;
    block *mine = &blocks[use];
    if (mine->bytes >= bytes && mine->memory)
        return mine->memory;
    /* Grow by half at least, so that a text that gets longer token by token
     * does not ask again at every token. */
    size_t wanted = mine->bytes + mine->bytes / 2;
    wanted = wanted > bytes ? wanted : bytes;
    wanted = (wanted + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    free(mine->memory);
    mine->memory = NULL;
    mine->bytes = 0;
    if (wanted < bytes || posix_memalign(&mine->memory, ALIGNMENT, wanted))
        return mine->memory = NULL;
    mine->bytes = wanted;
    return mine->memory;
}
