// Forward-backward of the TDT and CTC losses, and their gradients by logits, written in place over the logits.
//
// Compiled at run time by CuPy for the GPU; tests/test_losses.py compiles the same text with a C++ compiler (one thread
// does all the work of a block) and checks it against a float64 autograd recursion.
// TDT: "Efficient Sequence Transduction by Jointly Predicting Tokens and Durations" (Xu et al. 2023): token and duration
// distributions are normalised apart; a blank needs a duration of at least 1; sigma is subtracted from every token log
// probability, which favours long jumps.

#ifdef LATTICE_ON_CPU
#include <cmath>
#include <cstdint>
#define KERNEL extern "C" void
#define GRID_ARGS , int block_x, int block_y
#define BLOCK_X block_x
#define BLOCK_Y block_y
#define LANE 0
#define LANES 1
#define WARP 0
#define WARPS 1
#define THREAD 0
#define THREADS 1
#define SYNC()
typedef float logit_t;
typedef int64_t i64;
#define DEVICE static
DEVICE float load(const logit_t *p) { return *p; }
DEVICE void store(logit_t *p, float v) { *p = v; }
DEVICE float warp_max(float v) { return v; }
DEVICE float warp_sum(float v) { return v; }
DEVICE void add_to(float *p, float v) { *p += v; }
DEVICE float fresh(const float *p) { return *p; }
#else
#include <cuda_bf16.h>
#define KERNEL extern "C" __global__ void
#define GRID_ARGS
#define BLOCK_X blockIdx.x
#define BLOCK_Y blockIdx.y
#define LANE (threadIdx.x & 31)
#define LANES 32
#define WARP (threadIdx.x >> 5)
#define WARPS (blockDim.x >> 5)
#define THREAD threadIdx.x
#define THREADS blockDim.x
#define SYNC() __syncthreads()
typedef __nv_bfloat16 logit_t;
typedef long long i64;
#define DEVICE static __device__
DEVICE float load(const logit_t *p) { return __bfloat162float(*p); }
DEVICE void store(logit_t *p, float v) { *p = __float2bfloat16(v); }
DEVICE float warp_max(float v) {
    for (int d = 16; d; d >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, d));
    return v;
}
DEVICE float warp_sum(float v) {
    for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
    return v;
}
DEVICE void add_to(float *p, float v) { atomicAdd(p, v); }
// Atomics happen in L2; a neighbour's row may have left an old copy of the line in L1.
DEVICE float fresh(const float *p) { return __ldcg(p); }
#endif

#define NONE (-1e30f)
#define MAX_DURATIONS 5

DEVICE float log_add(float a, float b) {
    float high = a > b ? a : b, low = a > b ? b : a;
    return high <= NONE ? NONE : high + log1pf(expf(low - high));
}

// Log-sum-exp of `count` logits by the lanes of one warp.
DEVICE float log_sum(const logit_t *row, int count) {
    float high = NONE;
    for (int v = LANE; v < count; v += LANES) high = fmaxf(high, load(row + v));
    high = warp_max(high);
    float sum = 0;
    for (int v = LANE; v < count; v += LANES) sum += expf(load(row + v) - high);
    return high + logf(warp_sum(sum));
}

// One warp a cell (row, t, u). logits [B, T, U1, stride]; cells [B, T, U1, 4 + D]: token log-sum, blank, label,
// duration log-sum, D duration log probabilities.
KERNEL tdt_cells(const logit_t *logits, const int *targets, const int *frames, const int *counts, float *cells, i64 n,
                 int T, int U1, int stride, int vocab, int durations, float sigma GRID_ARGS) {
    i64 cell = (i64)BLOCK_X * WARPS + WARP;
    if (cell >= n) return;
    int u = cell % U1, t = (cell / U1) % T, b = cell / ((i64)U1 * T);
    if (t >= frames[b] || u > counts[b]) return;
    const logit_t *row = logits + cell * stride;
    float tokens = log_sum(row, vocab + 1), jumps = log_sum(row + vocab + 1, durations);
    if (LANE) return;
    float *out = cells + cell * (4 + MAX_DURATIONS);
    out[0] = tokens;
    out[1] = load(row + vocab) - tokens - sigma;
    out[2] = u < counts[b] ? load(row + targets[b * (U1 - 1) + u]) - tokens - sigma : NONE;
    out[3] = jumps;
    for (int d = 0; d < durations; d++) out[4 + d] = load(row + vocab + 1 + d) - jumps;
}

// One block a row and direction: block (b, 0) fills alpha, (b, 1) beta, both [B, T, U1], in waves of equal t + u.
// A d=0 label step stays in its frame, so cells of one wave do not depend on each other.
KERNEL tdt_lattice(const float *cells, const int *frames, const int *counts, float *alpha, float *beta, float *loglik,
                   int T, int U1, int durations GRID_ARGS) {
    int b = BLOCK_X, last = frames[b], U = counts[b];
    i64 base = (i64)b * T * U1;
    const int width = 4 + MAX_DURATIONS;
    if (BLOCK_Y == 0) {
        for (int wave = 0; wave < last + U; wave++) {
            for (int u = THREAD; u <= U; u += THREADS) {
                int t = wave - u;
                if (t < 0 || t >= last) continue;
                float sum = wave == 0 ? 0.0f : NONE;
                for (int d = 0; d < durations && d <= t; d++) {
                    i64 from = base + (i64)(t - d) * U1 + u;
                    if (d > 0) sum = log_add(sum, alpha[from] + cells[from * width + 1] + cells[from * width + 4 + d]);
                    if (u > 0) {
                        from -= 1;
                        sum = log_add(sum, alpha[from] + cells[from * width + 2] + cells[from * width + 4 + d]);
                    }
                }
                alpha[base + (i64)t * U1 + u] = sum;
            }
            SYNC();
        }
    } else {
        for (int wave = last + U - 1; wave >= 0; wave--) {
            for (int u = THREAD; u <= U; u += THREADS) {
                int t = wave - u;
                if (t < 0 || t >= last) continue;
                i64 at = base + (i64)t * U1 + u;
                float sum = NONE;
                for (int d = 0; d < durations && t + d <= last; d++) {
                    float jump = cells[at * width + 4 + d];
                    i64 to = at + (i64)d * U1;
                    if (d > 0) {
                        float rest = t + d < last ? beta[to] : (u == U ? 0.0f : NONE);
                        sum = log_add(sum, cells[at * width + 1] + jump + rest);
                    }
                    if (u < U && t + d < last) sum = log_add(sum, cells[at * width + 2] + jump + beta[to + 1]);
                }
                beta[at] = sum;
            }
            SYNC();
        }
        if (THREAD == 0) loglik[b] = last > 0 ? beta[base] : NONE;
    }
}

// One warp a cell: logits become d(-loglik)/d(logits) times scale[b]; cells outside the lattice become zero.
KERNEL tdt_gradient(logit_t *logits, const int *targets, const int *frames, const int *counts, const float *cells,
                    const float *alpha, const float *beta, const float *loglik, const float *scale, i64 n, int T,
                    int U1, int stride, int vocab, int durations GRID_ARGS) {
    i64 cell = (i64)BLOCK_X * WARPS + WARP;
    if (cell >= n) return;
    int u = cell % U1, t = (cell / U1) % T, b = cell / ((i64)U1 * T);
    logit_t *row = logits + cell * stride;
    int last = frames[b], U = counts[b];
    if (t >= last || u > U || loglik[b] <= -1e20f) {
        for (int v = LANE; v < stride; v += LANES) store(row + v, 0.0f);
        return;
    }
    const float *in = cells + cell * (4 + MAX_DURATIONS);
    float blank = 0, label = 0, jump[MAX_DURATIONS] = {0, 0, 0, 0, 0};
    float here = alpha[cell] - loglik[b];
    for (int d = 0; d < durations && t + d <= last; d++) {
        i64 to = cell + (i64)d * U1;
        float p = 0, q = 0;
        if (d > 0) {
            float rest = t + d < last ? beta[to] : (u == U ? 0.0f : NONE);
            p = expf(here + in[1] + in[4 + d] + rest);
        }
        if (u < U && t + d < last) q = expf(here + in[2] + in[4 + d] + beta[to + 1]);
        blank += p;
        label += q;
        jump[d] = p + q;
    }
    float total = blank + label, weight = scale[b];
    int target = u < U ? targets[b * (U1 - 1) + u] : -1;
    for (int v = LANE; v < stride; v += LANES) {
        float g = 0;
        if (v <= vocab) {
            g = total * expf(load(row + v) - in[0]) - (v == vocab ? blank : 0.0f) - (v == target ? label : 0.0f);
        } else if (v < vocab + 1 + durations) {
            g = total * expf(in[4 + v - vocab - 1]) - jump[v - vocab - 1];
        }
        store(row + v, g * weight);
    }
}

// One warp a frame: log-sum of the CTC logits [B, T, stride].
KERNEL ctc_frames(const logit_t *logits, const int *frames, float *sums, i64 n, int T, int stride, int vocab GRID_ARGS) {
    i64 at = (i64)BLOCK_X * WARPS + WARP;
    if (at >= n || at % T >= frames[at / T]) return;
    float sum = log_sum(logits + at * stride, vocab + 1);
    if (LANE == 0) sums[at] = sum;
}

// One block a row and direction over the states blank, l1, blank, l2, ... blank; alpha and beta are [B, T, 2 U + 1] and
// both include the probability of their own frame.
KERNEL ctc_lattice(const logit_t *logits, const float *sums, const int *targets, const int *frames, const int *counts,
                   float *alpha, float *beta, float *loglik, int T, int U, int stride, int vocab GRID_ARGS) {
    int b = BLOCK_X, last = frames[b], states = 2 * counts[b] + 1, width = 2 * U + 1;
    const int *label = targets + b * U;
    float *table = (BLOCK_Y == 0 ? alpha : beta) + (i64)b * T * width;
    for (int step = 0; step < last; step++) {
        int t = BLOCK_Y == 0 ? step : last - 1 - step;
        float *now = table + (i64)t * width;
        const float *before = BLOCK_Y == 0 ? now - width : now + width;
        for (int s = THREAD; s < states; s += THREADS) {
            int token = s & 1 ? label[s >> 1] : vocab;
            float sum;
            if (step == 0) {
                sum = (BLOCK_Y == 0 ? s < 2 : s >= states - 2) ? 0.0f : NONE;
            } else if (BLOCK_Y == 0) {
                sum = before[s];
                if (s > 0) sum = log_add(sum, before[s - 1]);
                if (s > 1 && (s & 1) && label[(s >> 1) - 1] != token) sum = log_add(sum, before[s - 2]);
            } else {
                sum = before[s];
                if (s + 1 < states) sum = log_add(sum, before[s + 1]);
                if (s + 2 < states && (s & 1) && label[(s >> 1) + 1] != token) sum = log_add(sum, before[s + 2]);
            }
            i64 at = (i64)b * T + t;
            now[s] = sum <= NONE ? NONE : sum + load(logits + at * stride + token) - sums[at];
        }
        SYNC();
    }
    if (BLOCK_Y == 0 && THREAD == 0) {
        const float *end = table + (i64)(last - 1) * width;
        loglik[b] = last > 0 ? (states > 1 ? log_add(end[states - 1], end[states - 2]) : end[0]) : NONE;
    }
}

// One block a frame: occupancy of every token gathered in `occupied` [B, T, stride] (zeroed by the caller), then the
// gradient over the logits.
KERNEL ctc_gradient(logit_t *logits, const float *sums, const int *targets, const int *frames, const int *counts,
                    const float *alpha, const float *beta, const float *loglik, const float *scale, float *occupied, int T,
                    int U, int stride, int vocab GRID_ARGS) {
    i64 at = BLOCK_X;
    int b = at / T, t = at % T, states = 2 * counts[b] + 1, width = 2 * U + 1;
    bool alive = t < frames[b] && loglik[b] > -1e20f;
    if (alive) {
        for (int s = THREAD; s < states; s += THREADS) {
            int token = s & 1 ? targets[b * U + (s >> 1)] : vocab;
            i64 cell = at * width + s;
            if (alpha[cell] <= NONE || beta[cell] <= NONE) continue;
            float own = load(logits + at * stride + token) - sums[at];
            add_to(occupied + at * stride + token, expf(alpha[cell] + beta[cell] - own - loglik[b]));
        }
    }
    SYNC();
    for (int v = THREAD; v < stride; v += THREADS) {
        float g = 0;
        if (alive && v <= vocab) g = expf(load(logits + at * stride + v) - sums[at]) - fresh(occupied + at * stride + v);
        store(logits + at * stride + v, g * scale[b]);
    }
}
