// Runs a CUDA C kernel on the CPU, for tests: every thread of a block is a coroutine, blocks run
// one after another. Shared memory starts as NaN, asynchronous copies arrive at once or as late as
// allowed, and the threads take turns in either order, so that a missing barrier shows in the
// result. ldmatrix and mma.sync follow the fragment layouts of the PTX ISA.
#pragma once
#include <ucontext.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("shared_memory")))

struct uint3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
template <class T> T __ldg(const T* from) { return *from; }

static uint3 threadIdx, blockIdx, blockDim, gridDim;
static uint4* dynamic_shared;
static __attribute__((section("shared_memory"), used)) float never_empty[1];
extern "C" char __start_shared_memory, __stop_shared_memory;

enum State { RUNNING, AT_BARRIER, AT_WARP, DONE };
using Copy = std::pair<void*, const void*>;

struct Thread {
  ucontext_t context;
  State state;
  std::vector<char> stack = std::vector<char>(1 << 15);
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> batches;
};

static std::vector<Thread> threads;
static ucontext_t scheduler;
static unsigned current;
static bool eager;  // asynchronous copies arrive at once, else when they are waited for
struct Shown { const void *p, *q; };
static Shown box[2][32][32];  // what the lanes of a warp show one another, in turns
static unsigned exchanges[32][32];

inline void fail(const char* why) {
  std::fprintf(stderr, "%s (block %u %u, thread %u)\n", why, blockIdx.x, blockIdx.y, current);
  std::exit(3);
}

inline void wait_as(State state) {
  threads[current].state = state;
  swapcontext(&threads[current].context, &scheduler);
}
inline void __syncthreads() { wait_as(AT_BARRIER); }
inline void __syncwarp(unsigned = ~0u) { wait_as(AT_WARP); }

// Let threads [first, last) go on once all of them wait in `state`.
inline bool release(unsigned first, unsigned last, State state) {
  for (unsigned i = first; i < last; i++)
    if (threads[i].state != state) return false;
  for (unsigned i = first; i < last; i++) threads[i].state = RUNNING;
  return true;
}

inline void run_block(void (*body)(), bool backwards) {
  unsigned count = threads.size();
  for (auto& thread : threads) {
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = &scheduler;
    thread.state = RUNNING;
    thread.open.clear(), thread.batches.clear();
    makecontext(&thread.context, body, 0);
  }
  unsigned warps = (count + 31) / 32;
  do {
    for (unsigned turn = 0; turn < warps; turn++) {  // each warp runs as far as it can get
      unsigned first = 32 * (backwards ? warps - 1 - turn : turn);
      unsigned last = std::min(first + 32, count);
      do {
        for (unsigned lane = 0; lane < last - first; lane++) {
          current = backwards ? last - 1 - lane : first + lane;
          if (threads[current].state != RUNNING) continue;
          threadIdx = {current % blockDim.x, current / blockDim.x, 0};
          swapcontext(&scheduler, &threads[current].context);
        }
      } while (release(first, last, AT_WARP));
    }
  } while (release(0, count, AT_BARRIER));
  for (current = 0; current < count; current++)
    if (threads[current].state != DONE) fail("a barrier that not every thread reaches");
}

// --- what the listing MMA_CUDA writes as instructions of the GPU

typedef unsigned short bf16;

inline void fetch16(uint4* shared, const bf16* global) {
  if ((size_t)shared % 16 || (size_t)global % 16) fail("cp.async needs 16-byte alignment");
  if (eager) std::memcpy(shared, global, 16);
  else threads[current].open.push_back({shared, global});
}
inline void close_batch() {
  auto& thread = threads[current];
  thread.batches.push_back(std::move(thread.open));
  thread.open.clear();
}
template <int open> void wait_for_batches() {
  auto& batches = threads[current].batches;
  for (; batches.size() > open; batches.pop_front())
    for (auto& [to, from] : batches.front()) std::memcpy(to, from, 16);
}

// Show two pointers to the warp and see everyone's. Two boxes in turns: nobody can be two ahead.
template <class Look> void exchange(Shown mine, Look look) {
  unsigned lane = current % 32, warp = current / 32;
  auto& slot = box[exchanges[warp][lane]++ % 2];
  slot[warp][lane] = mine;
  __syncwarp();
  look(slot[warp]);
}
inline unsigned pair(bf16 low, bf16 high) { return low | (unsigned)high << 16; }
inline float number(unsigned registers, unsigned half) {
  unsigned bits = half ? registers & 0xFFFF0000u : registers << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline void load_matrix(unsigned (&out)[4], const uint4* row, bool turned) {
  if ((size_t)row % 16) fail("ldmatrix needs 16-byte alignment");
  unsigned lane = current % 32, group = lane / 4, k = lane % 4 * 2;
  exchange({row, nullptr}, [&](const Shown* lanes) {
    for (unsigned i = 0; i < 4; i++) {
      auto at = [&](unsigned r, unsigned c) { return ((const bf16*)lanes[8 * i + r].p)[c]; };
      out[i] = turned ? pair(at(k, group), at(k + 1, group)) : pair(at(group, k), at(group, k + 1));
    }
  });
}
inline void load_a(unsigned (&p)[4], const uint4* row) { load_matrix(p, row, false); }
inline void load_b(unsigned (&q)[4], const uint4* row) { load_matrix(q, row, true); }
inline void multiply_add(float (&sum)[4], const unsigned (&p)[4], const unsigned* q) {
  unsigned lane = current % 32;
  exchange({p, q}, [&](const Shown* lanes) {
    for (unsigned i = 0; i < 4; i++) {
      unsigned row = lane / 4 + i / 2 * 8, col = lane % 4 * 2 + i % 2;
      for (unsigned k = 0; k < 16; k++) {
        unsigned a = ((const unsigned*)lanes[row % 8 * 4 + k % 8 / 2].p)[row / 8 + k / 8 * 2];
        unsigned b = ((const unsigned*)lanes[col * 4 + k % 8 / 2].q)[k / 8];
        sum[i] += number(a, k % 2) * number(b, k % 2);
      }
    }
  });
}

// --- the program: arguments m n k grid.x grid.y threads dynamic-bytes backwards eager, a and b on
// stdin

template <class T> std::vector<T> read_numbers(size_t count) {
  std::vector<T> numbers(count);
  if (std::fread(numbers.data(), sizeof(T), count, stdin) != count) fail("too little input");
  return numbers;
}

#define CUDA_ON_CPU_MAIN(kernel, operand)                                                    \
  static const operand *A, *B;                                                               \
  static float* C;                                                                           \
  static int M, N, K;                                                                        \
  static void body() { kernel(A, B, C, M, N, K), threads[current].state = DONE; }            \
  int main(int, char** argument) {                                                           \
    unsigned number[9];                                                                      \
    for (int i = 0; i < 9; i++) number[i] = std::atoi(argument[i + 1]);                      \
    eager = number[8];                                                                       \
    M = number[0], N = number[1], K = number[2];                                             \
    gridDim = {number[3], number[4], 1}, blockDim = {number[5], 1, 1};                       \
    threads = std::vector<Thread>(number[5]);                                                \
    std::vector<uint4> pool(number[6] / 16 + 1);                                             \
    dynamic_shared = pool.data();                                                            \
    auto a = read_numbers<operand>((size_t)M * K), b = read_numbers<operand>((size_t)K * N); \
    std::vector<float> c((size_t)M * N);                                                     \
    std::memset(c.data(), 0xFF, 4 * c.size());                                               \
    A = a.data(), B = b.data(), C = c.data();                                                \
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)                               \
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {                           \
        char* first = &__start_shared_memory;                                                \
        std::memset(first, 0xFF, &__stop_shared_memory - first);                             \
        std::memset((void*)dynamic_shared, 0xFF, number[6]);                                 \
        run_block(body, number[7]);                                                          \
      }                                                                                      \
    std::fwrite(c.data(), 4, c.size(), stdout);                                              \
  }
