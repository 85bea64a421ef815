// Atomics. Threads of a launch are fibers of one host thread and switch only where they meet, so plain access is atomic.
#pragma once

namespace metal {

enum memory_order { memory_order_relaxed };

template <class T> struct atomic { T value; };
typedef atomic<uint> atomic_uint;
typedef atomic<int> atomic_int;
typedef atomic<float> atomic_float;

template <class T> T atomic_load_explicit(const atomic<T>* a, memory_order) { return a->value; }
template <class T> void atomic_store_explicit(atomic<T>* a, same_t<T> v, memory_order) { a->value = v; }
template <class T> T atomic_exchange_explicit(atomic<T>* a, same_t<T> v, memory_order) {
    const T old = a->value;
    a->value = v;
    return old;
}
template <class T>
bool atomic_compare_exchange_weak_explicit(atomic<T>* a, T* wanted, same_t<T> v, memory_order, memory_order) {
    const T old = a->value;
    const bool equal = old == *wanted;
    if (equal) a->value = v;
    *wanted = old;
    return equal;
}
#define METAL_FETCH(name, result)                                                                    \
    template <class T> T atomic_fetch_##name##_explicit(atomic<T>* a, same_t<T> v, memory_order) {   \
        const T old = a->value;                                                                      \
        a->value = result;                                                                           \
        return old;                                                                                  \
    }
METAL_FETCH(add, T(old + v))
METAL_FETCH(sub, T(old - v))
METAL_FETCH(and, old & v)
METAL_FETCH(or, old | v)
METAL_FETCH(xor, old ^ v)
METAL_FETCH(min, min(old, v))
METAL_FETCH(max, max(old, v))
#undef METAL_FETCH

}  // namespace metal
