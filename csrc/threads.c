/* The worker pool.
 *
 * There is one pool, and it does one job at a time. A job is a range [0, count),
 * cut into shares, one behind the other, for the caller and each worker, and
 * these into chunks. Everybody takes the chunks of their own share in order, so
 * that what they read lies in one piece and can be fetched ahead; then, of the
 * shares of those who came late or were held up, whatever chunks are left.
 *
 * Everything about a job's life is one atomic word, the gate:
 *
 *     generation << 17  |  open << 16  |  workers inside
 *
 * The caller publishes a job by a new generation with the gate open. A worker
 * that sees a new generation enters, if the gate is still open, and leaves when
 * no chunk is left. The caller, when no chunk is left for itself, closes the
 * gate and waits for those inside. So nobody ever waits for a worker that is
 * asleep, or that the operating system has put aside: it comes too late, finds
 * the gate closed, and that is all.
 *
 * Between jobs a worker watches the gate for a moment, since the operations of
 * a model follow each other closely, and then sleeps.
 *
 * A caller that finds the pool taken (by another thread, or by itself: a job
 * inside a job) computes alone. After fork() the child has no workers; its
 * pool forgets them and starts its own when first needed.
 */
#include "internal.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define WATCH_NANOSECONDS 100000 /* how long an idle worker stays awake */
#define LOOKS 64                 /* looks at the gate between two at the clock */
#define PATIENCE 4096            /* looks before a waiting caller yields its CPU */

#define CACHE_LINE 64

#define INSIDE UINT64_C(0xffff)
#define OPEN (UINT64_C(1) << 16)
#define GENERATION (UINT64_C(1) << 17)

static struct {
    pyxglm_range_fn *fn;
    void *context;
    int64_t grain;
    int shares;
    uint64_t float_mode; /* the caller's: bits must not depend on who computes what */
} job;

static struct {
    atomic_llong next; /* the first item that nobody has taken */
    int64_t end;
    char apart[CACHE_LINE - sizeof(atomic_llong) - sizeof(int64_t)];
} share[PYXGLM_MAX_THREADS]; /* the caller's is the first */

static atomic_uint_least64_t gate;
static atomic_int taken;       /* whether some caller has the pool */
static atomic_int threads = 1; /* wanted, the caller included */
static atomic_int stopping;

static struct {
    pthread_t thread;
    int share; /* the number of the share it begins with */
} workers[PYXGLM_MAX_THREADS - 1];
static int started;       /* workers that run; only touched by who has the pool */
static int start_tried;   /* so that a refusal by the system is not asked for again */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;

/* === What workers do ====================================================== */

/* `own`: the number of the share to begin with. */
static void take_chunks(int own)
{
    for (int i = 0; i < job.shares;) {
        const int at = (own + i) % job.shares;
        const int64_t begin = atomic_fetch_add_explicit(&share[at].next, job.grain,
                                                        memory_order_relaxed);
        if (begin < share[at].end)
            job.fn(job.context, begin, min_i64(begin + job.grain, share[at].end));
        else
            i++;
    }
}

static uint64_t generation_of(uint64_t word)
{
    return word & ~(OPEN | INSIDE);
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Returns when the gate shows another generation than `seen`. */
static void await_change(uint64_t seen)
{
    const int64_t begin = nanoseconds();
    do {
        for (int look = 0; look < LOOKS; look++) {
            if (generation_of(atomic_load_explicit(&gate, memory_order_relaxed)) != seen)
                return;
            PYXGLM_PAUSE();
        }
    } while (nanoseconds() - begin < WATCH_NANOSECONDS);

    /* The caller changes the gate first and counts sleepers then, a sleeper
     * the other way round: at least one of the two notices the other. */
    pthread_mutex_lock(&mutex);
    atomic_fetch_add(&sleepers, 1);
    while (generation_of(atomic_load(&gate)) == seen)
        pthread_cond_wait(&wake, &mutex);
    atomic_fetch_sub(&sleepers, 1);
    pthread_mutex_unlock(&mutex);
}

/* Goes through the gate if it is open; tells the generation it has seen. If
 * that changes between two tries, the newer job is joined. */
static int enter(uint64_t *seen)
{
    uint64_t word = atomic_load(&gate);
    int inside = 0;
    while (!inside && (word & OPEN))
        inside = atomic_compare_exchange_weak(&gate, &word, word + 1);
    *seen = generation_of(word);
    return inside;
}

static void *work(void *number)
{
    const int own = *(const int *)number;
    uint64_t seen;
    for (;;) {
        if (enter(&seen)) {
            if (pyxglm_float_mode() != job.float_mode)
                pyxglm_set_float_mode(job.float_mode);
            take_chunks(own);
            atomic_fetch_sub(&gate, 1);
        }
        /* Asked after every look at the gate: whoever stops the pool sets this
         * first and changes the gate then. */
        if (atomic_load(&stopping))
            return NULL;
        await_change(seen);
    }
}

/* === The pool's life ====================================================== */

/* In the child of a fork only the forking thread goes on. */
static void forget_workers(void)
{
    started = start_tried = 0;
    atomic_store(&gate, 0);
    atomic_store(&sleepers, 0);
    atomic_store(&stopping, 0);
    atomic_store(&taken, 0);
    pthread_mutex_init(&mutex, NULL);
    pthread_cond_init(&wake, NULL);
}

static void register_fork_handler(void)
{
    pthread_atfork(NULL, NULL, forget_workers);
}

/* Before the pool is first taken: a child of a fork would find it taken for ever. */
static void watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handler);
}

static void wake_sleepers(void)
{
    if (atomic_load(&sleepers) == 0)
        return;
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&mutex);
}

static void start_workers(int wanted)
{
    sigset_t all, before;

    start_tried = 1;
    /* Signals are for the caller's threads: Python runs its handlers there. Faults are
     * for the thread that makes them (a mapped file may have become shorter). */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < wanted; started++) {
        workers[started].share = 1 + started;
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started].share) != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_workers(void)
{
    atomic_store(&stopping, 1);
    atomic_fetch_add(&gate, GENERATION);
    wake_sleepers();
    for (int i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    started = start_tried = 0;
    atomic_store(&stopping, 0);
}

void pyxglm_set_num_threads(int wanted)
{
    wanted = wanted < 1 ? 1 : wanted > PYXGLM_MAX_THREADS ? PYXGLM_MAX_THREADS : wanted;
    watch_forks();
    while (atomic_exchange(&taken, 1))
        sched_yield();
    if (wanted != atomic_load(&threads)) {
        stop_workers();
        atomic_store(&threads, wanted);
    }
    atomic_store(&taken, 0);
}

int pyxglm_get_num_threads(void)
{
    return atomic_load_explicit(&threads, memory_order_relaxed);
}

/* === Jobs ================================================================= */

static void alone(pyxglm_range_fn *fn, void *context, int64_t count, int64_t grain)
{
    for (int64_t begin = 0; begin < count; begin += grain)
        fn(context, begin, count - begin < grain ? count : begin + grain);
}

/* Cuts [0, count) into shares of whole chunks. */
static void share_out(int64_t count, int64_t grain, int shares)
{
    const int64_t chunks = (count - 1) / grain + 1, even = chunks / shares;
    int64_t begin = 0;
    for (int i = 0; i < shares; i++) {
        const int64_t end = begin + grain * (even + (i < chunks % shares));
        atomic_store_explicit(&share[i].next, begin, memory_order_relaxed);
        begin = share[i].end = min_i64(end, count);
    }
    job.grain = grain;
    job.shares = shares;
}

void pyxglm_parallel(pyxglm_range_fn *fn, void *context, int64_t count, int64_t grain)
{
    if (count <= grain || pyxglm_get_num_threads() == 1 || atomic_exchange(&taken, 1)) {
        alone(fn, context, count, grain);
        return;
    }
    if (!start_tried)
        start_workers(pyxglm_get_num_threads() - 1);

    job.fn = fn;
    job.context = context;
    job.float_mode = pyxglm_float_mode();
    share_out(count, grain, started + 1);
    atomic_fetch_add(&gate, GENERATION | OPEN); /* it was closed, and empty */
    wake_sleepers();

    take_chunks(0);

    atomic_fetch_and(&gate, ~OPEN);
    for (int look = 0; atomic_load(&gate) & INSIDE; look++) {
        if (look < PATIENCE)
            PYXGLM_PAUSE();
        else
            sched_yield(); /* the worker we wait for may need this very CPU */
    }
    atomic_store(&taken, 0);
}
