// Metal's functions of numbers, those that naga writes. Half precision is computed in single and rounded.
#pragma once

namespace metal {

#define METAL_MAP(name)                                                  \
    template <class T, int N> vec<T, N> name(const vec<T, N>& a) {       \
        vec<T, N> y;                                                     \
        for (int i = 0; i < N; i++) y.data[i] = name(a.data[i]);         \
        return y;                                                        \
    }
#define METAL_FLOAT(name, call)                                          \
    inline float name(float x) { return call; }                          \
    inline half name(half x) { return half(name(float(x))); }            \
    METAL_MAP(name)
METAL_FLOAT(exp, ::expf(x))
METAL_FLOAT(exp2, ::exp2f(x))
METAL_FLOAT(log, ::logf(x))
METAL_FLOAT(log2, ::log2f(x))
METAL_FLOAT(sin, ::sinf(x))
METAL_FLOAT(cos, ::cosf(x))
METAL_FLOAT(tan, ::tanf(x))
METAL_FLOAT(sinh, ::sinhf(x))
METAL_FLOAT(cosh, ::coshf(x))
METAL_FLOAT(tanh, ::tanhf(x))
METAL_FLOAT(asin, ::asinf(x))
METAL_FLOAT(acos, ::acosf(x))
METAL_FLOAT(atan, ::atanf(x))
METAL_FLOAT(sqrt, __builtin_sqrtf(x))
METAL_FLOAT(rsqrt, 1.0f / __builtin_sqrtf(x))
METAL_FLOAT(floor, ::floorf(x))
METAL_FLOAT(ceil, ::ceilf(x))
METAL_FLOAT(trunc, ::truncf(x))
METAL_FLOAT(rint, ::rintf(x))
METAL_FLOAT(fract, ::fminf(x - ::floorf(x), 0x1.fffffep-1f))
METAL_FLOAT(saturate, ::fminf(::fmaxf(x, 0.0f), 1.0f))
// A NaN has no sign, says Metal.
METAL_FLOAT(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x != x ? 0.0f : x)
#undef METAL_FLOAT

inline float abs(float x) { return __builtin_fabsf(x); }
inline half abs(half x) { return half(__builtin_fabsf(float(x))); }
inline int abs(int x) { return x < 0 ? int(0u - uint(x)) : x; }
inline uint abs(uint x) { return x; }
METAL_MAP(abs)

inline int sign(int x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

// Of a number and a NaN these give the number.
inline float min(float a, float b) { return ::fminf(a, b); }
inline float max(float a, float b) { return ::fmaxf(a, b); }
inline half min(half a, half b) { return half(::fminf(a, b)); }
inline half max(half a, half b) { return half(::fmaxf(a, b)); }
#define METAL_ORDER(T)                                   \
    inline T min(T a, T b) { return b < a ? b : a; }     \
    inline T max(T a, T b) { return a < b ? b : a; }
METAL_ORDER(int)
METAL_ORDER(uint)
METAL_ORDER(short)
METAL_ORDER(ushort)
METAL_ORDER(long)
METAL_ORDER(ulong)
#undef METAL_ORDER

#define METAL_MAP2(name)                                                                 \
    template <class T, int N> vec<T, N> name(const vec<T, N>& a, const vec<T, N>& b) {   \
        vec<T, N> y;                                                                     \
        for (int i = 0; i < N; i++) y.data[i] = name(a.data[i], b.data[i]);              \
        return y;                                                                        \
    }                                                                                    \
    template <class T, int N> vec<T, N> name(const vec<T, N>& a, same_t<T> b) { return name(a, vec<T, N>(b)); }
METAL_MAP2(min)
METAL_MAP2(max)
inline float pow(float a, float b) { return ::powf(a, b); }
inline half pow(half a, half b) { return half(::powf(a, b)); }
METAL_MAP2(pow)
inline float fmod(float a, float b) { return ::fmodf(a, b); }
inline half fmod(half a, half b) { return half(::fmodf(a, b)); }
METAL_MAP2(fmod)
inline float atan2(float a, float b) { return ::atan2f(a, b); }
METAL_MAP2(atan2)
inline float step(float edge, float x) { return x < edge ? 0.0f : 1.0f; }
METAL_MAP2(step)

template <class T> std::enable_if_t<is_scalar<T>, T> clamp(T x, same_t<T> low, same_t<T> high) {
    return min(max(x, low), high);
}
template <class T, int N> vec<T, N> clamp(const vec<T, N>& x, const vec<T, N>& low, const vec<T, N>& high) {
    return min(max(x, low), high);
}
template <class T, int N> vec<T, N> clamp(const vec<T, N>& x, same_t<T> low, same_t<T> high) {
    return min(max(x, vec<T, N>(low)), vec<T, N>(high));
}

inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
// The product of two halves is exact in double, and so is its sum with a third.
inline half fma(half a, half b, half c) { return half(double(a) * double(b) + double(c)); }
inline float mix(float a, float b, float t) { return a + (b - a) * t; }
inline half mix(half a, half b, half t) { return a + (b - a) * t; }
#define METAL_MAP3(name)                                                                                       \
    template <class T, int N> vec<T, N> name(const vec<T, N>& a, const vec<T, N>& b, const vec<T, N>& c) {     \
        vec<T, N> y;                                                                                           \
        for (int i = 0; i < N; i++) y.data[i] = name(a.data[i], b.data[i], c.data[i]);                         \
        return y;                                                                                              \
    }
METAL_MAP3(fma)
METAL_MAP3(mix)

inline float ldexp(float x, int n) { return ::ldexpf(x, n); }
template <int N> vec<float, N> ldexp(const vec<float, N>& x, const vec<int, N>& n) {
    vec<float, N> y;
    for (int i = 0; i < N; i++) y.data[i] = ::ldexpf(x.data[i], n.data[i]);
    return y;
}

template <class T, int N> T dot(const vec<T, N>& a, const vec<T, N>& b) {
    T sum = T(a.data[0] * b.data[0]);
    for (int i = 1; i < N; i++) sum = T(sum + a.data[i] * b.data[i]);
    return sum;
}
template <class T, int N> T length(const vec<T, N>& a) { return sqrt(dot(a, a)); }
template <class T, int N> T distance(const vec<T, N>& a, const vec<T, N>& b) { return length(a - b); }
template <class T, int N> vec<T, N> normalize(const vec<T, N>& a) { return a * rsqrt(dot(a, a)); }

template <class T> std::enable_if_t<is_scalar<T>, T> select(T no, T yes, bool which) { return which ? yes : no; }
template <class T, int N> vec<T, N> select(const vec<T, N>& no, const vec<T, N>& yes, const vec<bool, N>& which) {
    vec<T, N> y;
    for (int i = 0; i < N; i++) y.data[i] = which.data[i] ? yes.data[i] : no.data[i];
    return y;
}
inline bool any(bool a) { return a; }
inline bool all(bool a) { return a; }
template <int N> bool any(const vec<bool, N>& a) {
    bool y = false;
    for (int i = 0; i < N; i++) y = y || a.data[i];
    return y;
}
template <int N> bool all(const vec<bool, N>& a) {
    bool y = true;
    for (int i = 0; i < N; i++) y = y && a.data[i];
    return y;
}
inline bool isnan(float x) { return x != x; }
inline bool isinf(float x) { return __builtin_fabsf(x) == __builtin_inff(); }
template <class T, int N> vec<bool, N> isnan(const vec<T, N>& a) { return a != a; }

inline uint popcount(uint x) { return uint(__builtin_popcount(x)); }
inline int popcount(int x) { return __builtin_popcount(uint(x)); }
inline uint clz(uint x) { return x == 0 ? 32u : uint(__builtin_clz(x)); }
inline int clz(int x) { return int(clz(uint(x))); }
inline uint ctz(uint x) { return x == 0 ? 32u : uint(__builtin_ctz(x)); }
inline int ctz(int x) { return int(ctz(uint(x))); }
inline uint reverse_bits(uint x) { return __builtin_bitreverse32(x); }
METAL_MAP(popcount)
METAL_MAP(clz)
METAL_MAP(ctz)
METAL_MAP(reverse_bits)
inline uint extract_bits(uint x, uint offset, uint bits) {
    return bits == 0 ? 0 : (x >> offset) & (bits == 32 ? ~0u : (1u << bits) - 1);
}
inline int extract_bits(int x, uint offset, uint bits) {
    return bits == 0 ? 0 : int(uint(x) << (32 - offset - bits)) >> (32 - bits);
}
inline uint insert_bits(uint x, uint y, uint offset, uint bits) {
    const uint mask = bits == 0 ? 0 : (bits == 32 ? ~0u : (1u << bits) - 1) << offset;
    return (x & ~mask) | (bits == 0 ? 0 : (y << offset) & mask);
}

#undef METAL_MAP
#undef METAL_MAP2
#undef METAL_MAP3

}  // namespace metal
