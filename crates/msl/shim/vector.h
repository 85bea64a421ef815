// Metal's scalar, vector and packed types.
#pragma once

namespace metal {

typedef _Float16 half;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

template <class T> constexpr bool is_scalar = std::is_integral_v<T> || std::is_same_v<T, float> || std::is_same_v<T, half>;

template <class T, int N> struct packed;
template <class T, int N> struct vec;

template <class T, int N> struct fields;
template <class T> struct fields<T, 2> {
    union {
        T data[2];
        struct { T x, y; };
    };
};
template <class T> struct fields<T, 3> {
    union {
        T data[3];
        struct { T x, y, z; };
    };
};
template <class T> struct fields<T, 4> {
    union {
        T data[4];
        struct { T x, y, z, w; };
    };
};

// As in Metal, a vector of three is aligned, and as large, as one of four.
template <class T, int N> struct alignas(sizeof(T) * (N == 3 ? 4 : N)) vec : fields<T, N> {
    using fields<T, N>::data;

    vec() = default;

    template <class S, class = std::enable_if_t<is_scalar<S>>> explicit vec(S s) {
        for (int i = 0; i < N; i++) data[i] = T(s);
    }
    template <class U> explicit vec(const vec<U, N>& v) {
        for (int i = 0; i < N; i++) data[i] = T(v.data[i]);
    }
    template <class U> explicit vec(const packed<U, N>& v) {
        for (int i = 0; i < N; i++) data[i] = T(v.data[i]);
    }
    template <class A, class B, class... Rest> vec(const A& a, const B& b, const Rest&... rest) {
        int at = 0;
        put(at, a);
        put(at, b);
        (put(at, rest), ...);
    }

    template <int... I> vec<T, sizeof...(I)> swizzle() const { return vec<T, sizeof...(I)>(data[I]...); }

    T& operator[](unsigned i) {
        if (__builtin_expect(i >= N, 0)) metal_cpu::fault_array(i, N);
        return data[i];
    }
    const T& operator[](unsigned i) const {
        if (__builtin_expect(i >= N, 0)) metal_cpu::fault_array(i, N);
        return data[i];
    }

private:
    template <class S, class = std::enable_if_t<is_scalar<S>>> void put(int& at, S s) { data[at++] = T(s); }
    template <class U, int M> void put(int& at, const vec<U, M>& v) {
        for (int i = 0; i < M; i++) data[at++] = T(v.data[i]);
    }
};

// Without alignment: what `as_type` makes of a word.
template <class T, int N> struct packed {
    T data[N];
    packed() = default;
    template <class U> packed(const vec<U, N>& v) {
        for (int i = 0; i < N; i++) data[i] = T(v.data[i]);
    }
    operator vec<T, N>() const { return vec<T, N>(*this); }
    T& operator[](unsigned i) { return data[i]; }
    const T& operator[](unsigned i) const { return data[i]; }
};

#define METAL_VECTORS(T, name)    \
    typedef vec<T, 2> name##2;    \
    typedef vec<T, 3> name##3;    \
    typedef vec<T, 4> name##4;    \
    typedef packed<T, 2> packed_##name##2; \
    typedef packed<T, 3> packed_##name##3; \
    typedef packed<T, 4> packed_##name##4;
METAL_VECTORS(float, float)
METAL_VECTORS(half, half)
METAL_VECTORS(int, int)
METAL_VECTORS(uint, uint)
METAL_VECTORS(short, short)
METAL_VECTORS(ushort, ushort)
METAL_VECTORS(signed char, char)
METAL_VECTORS(uchar, uchar)
METAL_VECTORS(long, long)
METAL_VECTORS(ulong, ulong)
METAL_VECTORS(bool, bool)
#undef METAL_VECTORS

template <class T> struct same { typedef T type; };
template <class T> using same_t = typename same<T>::type;

#define METAL_BINARY(op)                                                                       \
    template <class T, int N> vec<T, N> operator op(const vec<T, N>& a, const vec<T, N>& b) {  \
        vec<T, N> y;                                                                           \
        for (int i = 0; i < N; i++) y.data[i] = T(a.data[i] op b.data[i]);                     \
        return y;                                                                              \
    }                                                                                          \
    template <class T, int N> vec<T, N> operator op(const vec<T, N>& a, same_t<T> b) {         \
        return a op vec<T, N>(b);                                                              \
    }                                                                                          \
    template <class T, int N> vec<T, N> operator op(same_t<T> a, const vec<T, N>& b) {         \
        return vec<T, N>(a) op b;                                                              \
    }
METAL_BINARY(+)
METAL_BINARY(-)
METAL_BINARY(*)
METAL_BINARY(/)
METAL_BINARY(%)
METAL_BINARY(&)
METAL_BINARY(|)
METAL_BINARY(^)
#undef METAL_BINARY

#define METAL_SHIFT(op)                                                                                    \
    template <class T, class U, int N> vec<T, N> operator op(const vec<T, N>& a, const vec<U, N>& b) {     \
        vec<T, N> y;                                                                                       \
        for (int i = 0; i < N; i++) y.data[i] = T(a.data[i] op b.data[i]);                                 \
        return y;                                                                                          \
    }                                                                                                      \
    template <class T, int N> vec<T, N> operator op(const vec<T, N>& a, uint b) { return a op vec<uint, N>(b); }
METAL_SHIFT(<<)
METAL_SHIFT(>>)
#undef METAL_SHIFT

#define METAL_COMPARE(op)                                                                         \
    template <class T, int N> vec<bool, N> operator op(const vec<T, N>& a, const vec<T, N>& b) {  \
        vec<bool, N> y;                                                                           \
        for (int i = 0; i < N; i++) y.data[i] = a.data[i] op b.data[i];                           \
        return y;                                                                                 \
    }                                                                                             \
    template <class T, int N> vec<bool, N> operator op(const vec<T, N>& a, same_t<T> b) {         \
        return a op vec<T, N>(b);                                                                 \
    }
METAL_COMPARE(==)
METAL_COMPARE(!=)
METAL_COMPARE(<)
METAL_COMPARE(<=)
METAL_COMPARE(>)
METAL_COMPARE(>=)
#undef METAL_COMPARE

template <class T, int N> vec<T, N> operator-(const vec<T, N>& a) {
    vec<T, N> y;
    for (int i = 0; i < N; i++) y.data[i] = T(-a.data[i]);
    return y;
}
template <class T, int N> vec<T, N> operator~(const vec<T, N>& a) {
    vec<T, N> y;
    for (int i = 0; i < N; i++) y.data[i] = T(~a.data[i]);
    return y;
}
template <int N> vec<bool, N> operator!(const vec<bool, N>& a) {
    vec<bool, N> y;
    for (int i = 0; i < N; i++) y.data[i] = !a.data[i];
    return y;
}

template <class To, class From> To as_type(const From& from) {
    static_assert(sizeof(To) == sizeof(From), "as_type keeps the size");
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}

}  // namespace metal
