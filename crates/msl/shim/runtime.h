// What kernels see of the machine that runs them: their bindings, and the points where threads meet.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace metal_cpu {

// The two structs below are laid out as in library.rs.
struct Slot {
    void* data;
    uint64_t bytes;
};

struct Launch {
    const Slot* slots;
    uint32_t slot_count;
    uint32_t lanes;
    uint32_t groups[3];
    uint32_t threads[3];
    uint32_t threadgroup_bytes;
    uint32_t backward;
    char* message;
    uint64_t message_bytes;
};

struct Thread {
    const Slot* slots;
    char* shared;
    uint32_t groups[3], threads[3];
    uint32_t group[3], local[3];
    uint32_t index, lane, simd, lanes, simds;
};

using Body = void (*)(const Thread&);

// Ends the launch with a message. Nothing on the fibers' stacks needs to be destroyed.
[[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void fault_binding(const void* slot, uint64_t index, uint64_t count);
[[noreturn]] void fault_array(uint64_t index, uint64_t count);

// Waits until every thread of the threadgroup waits at this line.
void group_meet(int line, const char* what);

constexpr unsigned LANE_BYTES = 32;

struct Meeting {
    const char* values;
    char* result;
    bool* ready;
    unsigned lane, lanes;
    template <class T> T at(unsigned i) const {
        T value;
        memcpy(&value, values + i * LANE_BYTES, sizeof(T));
        return value;
    }
};

// Waits until every lane of the simdgroup waits at this line, and shows what each brought.
Meeting simd_meet(const void* value, unsigned bytes, int line, const char* what);

// Checks that `bytes` from `data` on lie in one binding or in threadgroup memory.
void check_range(const void* data, uint64_t bytes);

// A binding declared as `array<T>`, as long as what is bound to it.
template <class T> struct runtime_array {
    T* data;
    uint64_t bytes;
    T& at(uint64_t i) const {
        if (__builtin_expect((i + 1) * sizeof(T) > bytes, 0)) fault_binding(this, i, bytes / sizeof(T));
        return data[i];
    }
    T& operator[](uint32_t i) { return at(i); }
    const T& operator[](uint32_t i) const { return at(i); }
};

template <class T, unsigned N> struct array {
    T data[N];
    T& operator[](uint32_t i) {
        if (__builtin_expect(i >= N, 0)) fault_array(i, N);
        return data[i];
    }
    const T& operator[](uint32_t i) const {
        if (__builtin_expect(i >= N, 0)) fault_array(i, N);
        return data[i];
    }
};

template <class T> struct is_runtime_array : std::false_type {};
template <class T> struct is_runtime_array<runtime_array<T>> : std::true_type {};

template <class T> T& buffer(const Thread& t, unsigned slot) {
    const Slot& bound = t.slots[slot];
    using Bare = std::remove_const_t<T>;
    if constexpr (is_runtime_array<Bare>::value) {
        static_assert(sizeof(Bare) == sizeof(Slot));
        return *reinterpret_cast<T*>(const_cast<Slot*>(&bound));
    } else {
        if (bound.bytes < sizeof(T)) fault_binding(&bound, 0, 0);
        return *reinterpret_cast<T*>(bound.data);
    }
}

template <class T> constexpr unsigned round16() { return (sizeof(T) + 15) / 16 * 16; }

template <class T> T& threadgroup(const Thread& t, unsigned offset) {
    return *reinterpret_cast<T*>(t.shared + offset);
}

}  // namespace metal_cpu

extern "C" int metal_cpu_launch(const metal_cpu::Launch* launch, metal_cpu::Body body);
