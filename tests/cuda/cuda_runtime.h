/* CUDA's language on the CPU: with this header in place of CUDA's g++ compiles the files of csrc/cuda/kernels, and
 * tests run every thread of every kernel, under sanitizers, without a GPU.
 *
 *   block    one after another
 *   thread   a call of the kernel on a fiber of its own, which runs until it waits for the others
 *   wait     __syncthreads for the block; shuffles, ballots and __syncwarp for a whole warp
 *
 * A fiber whose thread has returned takes the next one, so that a kernel without barriers is a loop. It is stricter
 * than a GPU: a run ends with a message where threads leave while others wait, wait at different lines, or exchange
 * values in a branch. on_cpu::backwards runs the threads in the other order (COHESIV_CUDA_BACKWARDS): results that
 * change want a barrier. Shared memory that is asked for at the launch starts as NaN. What only a GPU has (tensor
 * cores, copies that do not wait, parts of warps) is not here: kernels have a plain twin where they use it. */
#ifndef TESTS_CUDA_RUNTIME_H
#define TESTS_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define ON_CUDA /* for backend/each.h */
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static
#define DYNAMIC_SHARED(type, name) type *name = (type *)on_cpu::machine.shared
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                                     \
  on_cpu::start(                                                                                             \
      #kernel, grid, block, shared, [=](auto... given) { kernel(given...); }, __VA_ARGS__)

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(8) float2 {
  float x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;
using std::max;
using std::min;

namespace on_cpu {

constexpr unsigned WARP = 32, MOST = 1024;
constexpr size_t STACK = 256 << 10, SHARED = 227 << 10;

struct Fiber {
  void *place[5];
  char *stack; /* its lowest address; of the scheduler what AddressSanitizer says */
  size_t size;
  void *fake;
};

enum State : uint8_t { RUNNING, AT_WARP, AT_BLOCK, DONE };

struct Thread {
  Fiber *fiber;
  uint64_t offer
      [2]; /* to its warp, in turn: who is one exchange ahead must not overwrite what others still read */
  unsigned exchanges;
  int line; /* where it waits */
  State state;
};

typedef void (*Body)(void *);

inline struct Machine {
  const char *kernel;
  Body body;
  void *arguments;
  unsigned count, started, current, idles;
  Thread thread[MOST];
  Fiber fiber[MOST], scheduler, *idle[MOST], *running;
  alignas(128) char shared[SHARED];
} machine;

inline bool backwards() {
  static const bool set = getenv("COHESIV_CUDA_BACKWARDS") != nullptr;
  return set;
}

[[noreturn]] inline void stop(const char *what, int line = 0) {
  fprintf(stderr, "cuda on cpu: %s, block (%u,%u,%u), thread (%u,%u,%u): %s (line %d)\n", machine.kernel,
          blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, what, line);
  abort();
}

/* The compiler's own jumps: swapcontext asks the kernel, and before a jump that it knows of AddressSanitizer opens the
 * whole stack and asks the kernel, too, which takes ten times as long as all else. A context only enters a new stack. */
#define UNSEEN __attribute__((noinline, no_sanitize("address")))
[[noreturn]] UNSEEN inline void jump(Fiber &to) { __builtin_longjmp(to.place, 1); }
UNSEEN inline void go(Fiber &from, Fiber &to, const ucontext_t *first = nullptr) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from.fake, to.stack, to.size);
#endif
  if (!__builtin_setjmp(from.place)) {
    if (first) setcontext(first);
    jump(to);
  }
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);
#endif
}

inline unsigned nth(unsigned i, unsigned first, unsigned last) {
  return backwards() ? last - 1 - i : first + i;
}

inline void enter(unsigned thread) {
  machine.current = thread;
  threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
}

inline void fiber_main() { /* never returns */
  Machine &m = machine;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, (const void **)&m.scheduler.stack, &m.scheduler.size);
#endif
  for (;;) {
    while (m.started < m.count) {
      enter(nth(m.started++, 0, m.count));
      m.body(m.arguments);
      m.thread[m.current].state = DONE;
    }
    m.idle[m.idles++] = m.running;
    go(*m.running, m.scheduler);
  }
}

inline void resume(Fiber &f) {
  machine.running = &f;
  if (f.stack) return go(machine.scheduler, f);
  void *stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) stop("no memory for stacks");
  f.stack = (char *)stack;
  f.size = STACK;
  ucontext_t first;
  getcontext(&first);
  first.uc_stack.ss_sp = f.stack;
  first.uc_stack.ss_size = f.size;
  makecontext(&first, fiber_main, 0);
  go(machine.scheduler, f, &first);
}

/* A thread waits: the others go on, and it returns when all of them have come as far. */
inline void wait(State why, int line) {
  unsigned me = machine.current;
  machine.thread[me].state = why;
  machine.thread[me].line = line;
  machine.thread[me].fiber = machine.running;
  go(*machine.running, machine.scheduler);
  enter(me);
}

/* Whether the threads first .. last-1 wait alike; stops where they never could go on. */
inline bool agree(unsigned first, unsigned last, State what) {
  const Thread *t = machine.thread;
  unsigned there = 0;
  for (unsigned i = first; i < last; i++) there += t[i].state == what && t[i].line == t[first].line;
  if (there == last - first) return true;
  for (unsigned i = first; i < last; i++)
    if (t[i].state == what) enter(i), stop("waits for threads that went elsewhere", t[i].line);
  return false;
}

inline void resume_all(unsigned first, unsigned last) {
  for (unsigned i = 0; i < last - first; i++) resume(*machine.thread[nth(i, first, last)].fiber);
}

inline void run_block() {
  Machine &m = machine;
  m.started = 0;
  memset(m.thread, 0, m.count * sizeof(Thread));
  while (m.started < m.count) resume(*m.idle[--m.idles]);
  for (;;) {
    for (unsigned first = 0; first < m.count; first += WARP)
      while (agree(first, min(first + WARP, m.count), AT_WARP)) resume_all(first, min(first + WARP, m.count));
    if (!agree(0, m.count, AT_BLOCK)) return;
    resume_all(0, m.count);
  }
}

template <class F> void launch(const char *name, dim3 grid, dim3 block, size_t shared, F call) {
  Machine &m = machine;
  cuda_double_reach();
  m.kernel = name;
  m.body = [](void *f) { (*(F *)f)(); };
  m.arguments = &call;
  m.count = block.x * block.y * block.z;
  gridDim = grid, blockDim = block;
  if (!m.count || !grid.x || !grid.y || !grid.z || m.count > MOST || shared > SHARED || grid.y > 65535 ||
      grid.z > 65535)
    stop("impossible numbers of threads, blocks or shared bytes");
  if (!m.idles)
    for (Fiber &f : m.fiber) m.idle[m.idles++] = &f;
  for (long b = 0, n = (long)grid.x * grid.y * grid.z; b < n; b++) {
    blockIdx = {unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / ((long)grid.x * grid.y))};
    memset(m.shared, 0xff, shared);
    run_block();
  }
}

/* Now, or when a graph that is captured is run: with the arguments of now. */
template <class F, class... A>
void start(const char *name, dim3 grid, dim3 block, size_t shared, F kernel, A... arguments) {
  if (cuda_double_idle()) return void(cuda_launches++);
  auto run = [=] {
    cuda_double_take(DOUBLE_LAUNCH);
    launch(name, grid, block, shared, [=] { kernel(arguments...); });
  };
  cuda_launches++;
  if (!graph_captures()) return run();
  graph_add([](void *f) { (*(decltype(run) *)f)(); }, new auto(run),
            [](void *f) { delete (decltype(run) *)f; });
}

inline unsigned lane() { return machine.current % WARP; }

template <class T> struct Exchange { /* every thread of the warp offers a value; then all can be read */
  const Thread *warp;
  unsigned lanes, turn;
  Exchange(unsigned mask, T value, int line) {
    static_assert(sizeof value <= sizeof warp->offer[0], "a shuffle exchanges at most 8 bytes");
    Thread &me = machine.thread[machine.current];
    warp = &me - lane();
    lanes = min(WARP, machine.count - (machine.current - lane()));
    turn = me.exchanges++ & 1;
    if (~mask << (WARP - lanes)) stop("an exchange in a part of a warp", line);
    memcpy(me.offer + turn, &value, sizeof value);
    wait(AT_WARP, line);
  }
  T operator[](unsigned from) const {
    T value;
    if (from >= lanes) stop("reads from a thread that its warp does not have");
    return memcpy(&value, warp[from].offer + turn, sizeof value), value;
  }
};

} // namespace on_cpu

#define __syncthreads() on_cpu::wait(on_cpu::AT_BLOCK, __LINE__)
#define __syncwarp() on_cpu::wait(on_cpu::AT_WARP, __LINE__)

/* A source outside the thread's segment of `width` lanes means the thread itself. */
#define SHUFFLE(name, source_of)                                                                             \
  template <class T>                                                                                         \
  T name(unsigned mask, T value, int by, int width = warpSize, int line = __builtin_LINE()) {                \
    unsigned lane = on_cpu::lane(), source = source_of;                                                      \
    return on_cpu::Exchange<T>(mask, value, line)[source / width == lane / width ? source : lane];           \
  }
SHUFFLE(__shfl_sync, lane / width * width + by % width)
SHUFFLE(__shfl_xor_sync, lane ^ by)
SHUFFLE(__shfl_down_sync, lane + by)
SHUFFLE(__shfl_up_sync, lane - by)
#undef SHUFFLE

/* Atomic by itself: threads take turns. */
template <class T, class V> T atomicAdd(T *place, V value) {
  T old = *place;
  *place = T(old + T(value));
  return old;
}
template <class T> T atomicMin(T *place, T value) {
  T old = *place;
  if (value < old) *place = value;
  return old;
}
template <class T> T atomicCAS(T *place, T compare, T value) {
  T old = *place;
  if (old == compare) *place = value;
  return old;
}
inline void __threadfence() {}
template <class T> T __ldg(const T *place) { return *place; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float __expf(float x) { return expf(x); }

#endif
