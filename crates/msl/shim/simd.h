// Barriers, simdgroup functions and simdgroup matrices: each is a point where threads meet, named by its line.
#pragma once

namespace metal {

enum class mem_flags { mem_none, mem_device, mem_threadgroup, mem_texture };

inline void threadgroup_barrier(mem_flags, int line = __builtin_LINE()) {
    metal_cpu::group_meet(line, "threadgroup_barrier");
}
inline void simdgroup_barrier(mem_flags, int line = __builtin_LINE()) {
    metal_cpu::simd_meet(nullptr, 0, line, "simdgroup_barrier");
}

// Folds what the lanes bring pair by pair, as a butterfly of shuffles would; the first lane to go on does it for all.
template <class T, class F> T simd_fold(const T& value, int line, const char* what, F fold) {
    static_assert(sizeof(T) <= metal_cpu::LANE_BYTES);
    const metal_cpu::Meeting met = metal_cpu::simd_meet(&value, sizeof(T), line, what);
    T y;
    if (!*met.ready) {
        T all[64];
        for (unsigned i = 0; i < met.lanes; i++) all[i] = met.at<T>(i);
        for (unsigned n = met.lanes; n > 1; n = (n + 1) / 2)
            for (unsigned i = 0; i < n / 2; i++) all[i] = fold(all[i], all[i + (n + 1) / 2]);
        memcpy(met.result, &all[0], sizeof(T));
        *met.ready = true;
    }
    memcpy(&y, met.result, sizeof(T));
    return y;
}

#define METAL_SIMD_FOLD(name, result)                                                        \
    template <class T> T name(T value, int line = __builtin_LINE()) {                        \
        return simd_fold(value, line, #name, [](const T& a, const T& b) { return T(result); }); \
    }
METAL_SIMD_FOLD(simd_sum, a + b)
METAL_SIMD_FOLD(simd_product, a* b)
METAL_SIMD_FOLD(simd_max, max(a, b))
METAL_SIMD_FOLD(simd_min, min(a, b))
METAL_SIMD_FOLD(simd_and, a& b)
METAL_SIMD_FOLD(simd_or, a | b)
METAL_SIMD_FOLD(simd_xor, a ^ b)
METAL_SIMD_FOLD(simd_all, a && b)
METAL_SIMD_FOLD(simd_any, a || b)
#undef METAL_SIMD_FOLD

template <class T> metal_cpu::Meeting simd_bring(const T& value, int line, const char* what) {
    static_assert(sizeof(T) <= metal_cpu::LANE_BYTES);
    return metal_cpu::simd_meet(&value, sizeof(T), line, what);
}

inline ulong simd_ballot(bool value, int line = __builtin_LINE()) {
    const auto met = simd_bring(value, line, "simd_ballot");
    ulong y = 0;
    for (unsigned i = 0; i < met.lanes; i++) y |= ulong(met.at<bool>(i)) << i;
    return y;
}

#define METAL_SIMD_SCAN(name, count, first, result)                          \
    template <class T> T name(T value, int line = __builtin_LINE()) {        \
        const auto met = simd_bring(value, line, #name);                     \
        T y = T(first);                                                      \
        for (unsigned i = 0; i < (count); i++) {                             \
            const T v = met.template at<T>(i);                               \
            y = T(result);                                                   \
        }                                                                    \
        return y;                                                            \
    }
METAL_SIMD_SCAN(simd_prefix_exclusive_sum, met.lane, 0, y + v)
METAL_SIMD_SCAN(simd_prefix_inclusive_sum, met.lane + 1, 0, y + v)
METAL_SIMD_SCAN(simd_prefix_exclusive_product, met.lane, 1, y* v)
METAL_SIMD_SCAN(simd_prefix_inclusive_product, met.lane + 1, 1, y* v)
#undef METAL_SIMD_SCAN

template <class T> T simd_broadcast_first(T value, int line = __builtin_LINE()) {
    return simd_bring(value, line, "simd_broadcast_first").template at<T>(0);
}

// Of a lane that is not there the result is undefined in Metal; here it ends the launch.
template <class T> T simd_from(const metal_cpu::Meeting& met, long lane) {
    if (lane < 0 || lane >= long(met.lanes)) metal_cpu::fault("lane %u reads lane %ld of %u", met.lane, lane, met.lanes);
    return met.at<T>(unsigned(lane));
}
template <class T> T simd_broadcast(T value, uint lane, int line = __builtin_LINE()) {
    return simd_from<T>(simd_bring(value, line, "simd_broadcast"), lane);
}
template <class T> T simd_shuffle(T value, uint lane, int line = __builtin_LINE()) {
    return simd_from<T>(simd_bring(value, line, "simd_shuffle"), lane);
}
template <class T> T simd_shuffle_xor(T value, uint mask, int line = __builtin_LINE()) {
    const auto met = simd_bring(value, line, "simd_shuffle_xor");
    return simd_from<T>(met, met.lane ^ mask);
}
// Metal defines these two past the end as the lane's own value, and kernels may discard it.
template <class T> T simd_shuffle_down(T value, uint delta, int line = __builtin_LINE()) {
    const auto met = simd_bring(value, line, "simd_shuffle_down");
    return met.template at<T>(met.lane + delta < met.lanes ? met.lane + delta : met.lane);
}
template <class T> T simd_shuffle_up(T value, uint delta, int line = __builtin_LINE()) {
    const auto met = simd_bring(value, line, "simd_shuffle_up");
    return met.template at<T>(met.lane >= delta ? met.lane - delta : met.lane);
}
template <class T> T quad_broadcast(T value, uint lane, int line = __builtin_LINE()) {
    const auto met = simd_bring(value, line, "quad_broadcast");
    return simd_from<T>(met, (met.lane & ~3u) + (lane & 3u));
}
template <class T> T quad_shuffle_xor(T value, uint mask, int line = __builtin_LINE()) {
    const auto met = simd_bring(value, line, "quad_shuffle_xor");
    return simd_from<T>(met, met.lane ^ (mask & 3u));
}

// An 8x8 matrix spread over 32 lanes, two elements each: row lane / 4, columns from 2 (lane % 4) on.
template <class T> struct simdgroup_8x8 {
    T e[2];
};
typedef simdgroup_8x8<float> simdgroup_float8x8;
typedef simdgroup_8x8<half> simdgroup_half8x8;

struct Tile {
    const void* data;
    long stride;
};

// All lanes must name the same memory.
inline metal_cpu::Meeting simd_tile(const void* data, long stride, unsigned element, int line, const char* what) {
    const Tile tile{data, stride};
    const auto met = metal_cpu::simd_meet(&tile, sizeof(Tile), line, what);
    if (met.lanes != 32) metal_cpu::fault("%s with %u lanes", what, met.lanes);
    const Tile first = met.at<Tile>(0);
    if (first.data != data || first.stride != stride) metal_cpu::fault("%s: lanes name different tiles", what);
    if (stride < 0) metal_cpu::fault("%s with a stride of %ld", what, stride);
    metal_cpu::check_range(data, (7 * uint64_t(stride) + 8) * element);
    return met;
}

template <class T>
void simdgroup_load(simdgroup_8x8<T>& m, const T* data, long stride, int = 0, bool transpose = false,
                    int line = __builtin_LINE()) {
    const auto met = simd_tile(data, stride, sizeof(T), line, "simdgroup_load");
    const unsigned row = met.lane / 4;
    for (unsigned i = 0; i < 2; i++) {
        const unsigned column = met.lane % 4 * 2 + i;
        m.e[i] = transpose ? data[column * stride + row] : data[row * stride + column];
    }
}

template <class T>
void simdgroup_store(simdgroup_8x8<T> m, T* data, long stride, int = 0, bool transpose = false,
                     int line = __builtin_LINE()) {
    const auto met = simd_tile(data, stride, sizeof(T), line, "simdgroup_store");
    const unsigned row = met.lane / 4;
    for (unsigned i = 0; i < 2; i++) {
        const unsigned column = met.lane % 4 * 2 + i;
        (transpose ? data[column * stride + row] : data[row * stride + column]) = m.e[i];
    }
}

// Sums are made in the accumulator's type. The addition of a product is one rounding, as a fused unit has it.
template <class A, class C>
void simdgroup_multiply_accumulate(simdgroup_8x8<C>& d, const simdgroup_8x8<A>& a, const simdgroup_8x8<A>& b,
                                   const simdgroup_8x8<C>& c, int line = __builtin_LINE()) {
    struct Both {
        A a[2], b[2];
    };
    const Both mine{{a.e[0], a.e[1]}, {b.e[0], b.e[1]}};
    const auto met = simd_bring(mine, line, "simdgroup_multiply_accumulate");
    if (met.lanes != 32) metal_cpu::fault("simdgroup_multiply_accumulate with %u lanes", met.lanes);
    const unsigned row = met.lane / 4, pair = met.lane % 4;
    C sum[2] = {c.e[0], c.e[1]};
    for (unsigned k = 0; k < 8; k++) {
        const C left = C(met.template at<Both>(row * 4 + k / 2).a[k % 2]);
        const Both right = met.template at<Both>(k * 4 + pair);
        sum[0] = fma(left, C(right.b[0]), sum[0]);
        sum[1] = fma(left, C(right.b[1]), sum[1]);
    }
    d.e[0] = sum[0];
    d.e[1] = sum[1];
}

}  // namespace metal
