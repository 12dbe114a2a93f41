/* The thread pool: sleeping workers, one job at a time, chunks handed out by an atomic counter. Workers spin
 * for a few microseconds before they sleep, since ops follow each other closely, and so does the caller
 * before it sleeps until they are done; they never spin for long. */
#include "core/pool.h"

#include "core/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined __x86_64__
#define CPU_RELAX() __builtin_ia32_pause()
#else
#define CPU_RELAX() sched_yield()
#endif

enum { THREADS_MAX = 256, SPINS = 2000 };

/* The job in progress. Workers join it by its number,
 * so that a late one never touches the next job's fields. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t start, done;
  pthread_t thread[THREADS_MAX];
  int threads;        /* callers included; 0: not started */
  atomic_int running; /* workers inside the current job; changes under the lock */
  bool stop;
  atomic_ulong number; /* of the job; changes when one starts */
  Chunk f;
  void *arg;
  long chunks;
  atomic_long next;
  long failed; /* lowest chunk that failed, or -1 */
  Failure failure;
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .start = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static pthread_mutex_t one_caller = PTHREAD_MUTEX_INITIALIZER; /* held for the length of a parallel section */
static _Thread_local bool inside;                              /* this thread is running a chunk */

static void note_failure(long chunk) {
  pthread_mutex_lock(&pool.lock);
  if (pool.failed < 0 || chunk < pool.failed) {
    pool.failed = chunk;
    pool.failure = failure_take();
  }
  pthread_mutex_unlock(&pool.lock);
}

static void work(void) {
  long c;
  inside = true;
  while (!interrupted && (c = atomic_fetch_add(&pool.next, 1)) < pool.chunks)
    if (!pool.f(pool.arg, c)) note_failure(c);
  inside = false;
}

static void *worker(void *unused) {
  unsigned long seen = 0;
  (void)unused;
  for (;;) {
    for (int i = 0; i < SPINS && atomic_load_explicit(&pool.number, memory_order_relaxed) == seen; i++)
      CPU_RELAX();
    pthread_mutex_lock(&pool.lock);
    while (!pool.stop && atomic_load(&pool.number) == seen) pthread_cond_wait(&pool.start, &pool.lock);
    if (pool.stop) {
      pthread_mutex_unlock(&pool.lock);
      return NULL;
    }
    seen = atomic_load(&pool.number);
    bool join = pool.f != NULL; /* NULL: the job ended before this thread woke */
    pool.running += join;
    pthread_mutex_unlock(&pool.lock);
    if (!join) continue;
    work();
    pthread_mutex_lock(&pool.lock);
    if (--pool.running == 0) pthread_cond_signal(&pool.done);
    pthread_mutex_unlock(&pool.lock);
  }
}

int pool_default(void) {
  const char *asked = getenv("COHESIV_THREADS");
  int n = asked ? atoi(asked) : 0;
  cpu_set_t set;
  if (n >= 1 && n <= THREADS_MAX) return n;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}

/* Both hold one_caller. */
static void start_workers(int threads) {
  pool.stop = false;
  pool.threads = 1;
  for (; pool.threads < threads; pool.threads++)
    if (pthread_create(&pool.thread[pool.threads], NULL, worker, NULL))
      break; /* fewer threads work as well */
}

static void stop_workers(void) {
  pthread_mutex_lock(&pool.lock);
  pool.stop = true;
  pthread_cond_broadcast(&pool.start);
  pthread_mutex_unlock(&pool.lock);
  for (int i = 1; i < pool.threads; i++) pthread_join(pool.thread[i], NULL);
  pool.threads = 0;
}

/* Workers do not survive a fork: the child starts its own. */
static void after_fork(void) {
  pthread_mutex_init(&pool.lock, NULL);
  pthread_mutex_init(&one_caller, NULL);
  pthread_cond_init(&pool.start, NULL);
  pthread_cond_init(&pool.done, NULL);
  pool.running = 0;
  pool.threads = 0;
}

int pool_start(void) { return !pthread_atfork(NULL, NULL, after_fork); }

/* The library may be unloaded when Lua closes: no thread may be left running in its code. */
__attribute__((destructor)) static void end(void) {
  if (pool.threads) stop_workers();
}

int pool_threads(void) {
  if (inside) return pool.threads ? pool.threads : 1; /* its section may hold the lock */
  pthread_mutex_lock(&one_caller);
  if (!pool.threads) start_workers(pool_default());
  int n = pool.threads;
  pthread_mutex_unlock(&one_caller);
  return n;
}

int pool_resize(long threads) {
  if (threads < 1 || threads > THREADS_MAX)
    return fail("threads: expected 1 to %d, found %ld", THREADS_MAX, threads);
  if (inside) return fail("threads: cannot be changed from inside a parallel section");
  pthread_mutex_lock(&one_caller);
  if (pool.threads) stop_workers();
  start_workers((int)threads);
  int got = pool.threads;
  pthread_mutex_unlock(&one_caller);
  return got == threads || fail("threads: the system gave only %d of %ld", got, threads);
}

static int alone(long chunks, Chunk f, void *arg) {
  bool outer = inside;
  int ok = 1;
  inside = true;
  for (long c = 0; c < chunks && ok && !interrupted; c++) ok = f(arg, c);
  inside = outer;
  if (ok && interrupted) return fail("interrupted");
  return ok;
}

int parallel(long chunks, Chunk f, void *arg) {
  if (chunks <= 0) return 1;
  if (chunks == 1 || inside || pthread_mutex_trylock(&one_caller)) return alone(chunks, f, arg);
  if (!pool.threads) start_workers(pool_default());
  if (pool.threads == 1) {
    pthread_mutex_unlock(&one_caller);
    return alone(chunks, f, arg);
  }
  pthread_mutex_lock(&pool.lock);
  pool.f = f;
  pool.arg = arg;
  pool.chunks = chunks;
  pool.failed = -1;
  atomic_store(&pool.next, 0);
  atomic_fetch_add(&pool.number, 1);
  pthread_cond_broadcast(&pool.start);
  pthread_mutex_unlock(&pool.lock);
  work();
  for (int i = 0; i < SPINS && atomic_load_explicit(&pool.running, memory_order_relaxed); i++) CPU_RELAX();
  pthread_mutex_lock(&pool.lock);
  while (pool.running) pthread_cond_wait(&pool.done, &pool.lock);
  pool.f = NULL;
  int ok = pool.failed < 0;
  if (!ok) fail_again(&pool.failure);
  pthread_mutex_unlock(&pool.lock);
  pthread_mutex_unlock(&one_caller);
  if (ok && interrupted) return fail("interrupted");
  return ok;
}

/* ---- scratch ---- */

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
typedef struct Scratch {
  void *block[SCRATCH_SLOTS];
  size_t bytes[SCRATCH_SLOTS];
} Scratch;
static _Thread_local Scratch mine;
static _Thread_local bool registered;

static void free_scratch(void *s_) {
  Scratch *s = s_;
  for (int i = 0; i < SCRATCH_SLOTS; i++) free(s->block[i]);
  memset(s, 0, sizeof *s);
}

static void make_key(void) { pthread_key_create(&scratch_key, free_scratch); }

__attribute__((destructor)) static void free_main_scratch(void) { free_scratch(&mine); }

void scratch_empty(void) {
  if (!inside) free_scratch(&mine);
}

void *scratch(int slot, size_t bytes) {
  if (mine.bytes[slot] >= bytes && mine.block[slot]) return mine.block[slot];
  if (!registered) {
    pthread_once(&scratch_once, make_key);
    pthread_setspecific(scratch_key, &mine);
    registered = true;
  }
  bytes =
      (bytes + (bytes >> 2) + 4095) & ~(size_t)4095; /* some room, so that slow growth does not reallocate */
  free(mine.block[slot]);
  mine.bytes[slot] = 0;
  mine.block[slot] = aligned_alloc(64, bytes ? bytes : 4096);
  if (!mine.block[slot]) {
    fail_memory("out of memory: %zu bytes of scratch", bytes);
    return NULL;
  }
  mine.bytes[slot] = bytes;
  return mine.block[slot];
}
