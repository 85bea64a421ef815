// Runs the threads of a threadgroup as fibers of one host thread and makes them meet.
//
// Lanes run one after another until each waits or is done, so whatever a thread writes before it meets the others is seen
// late by some and early by others: a missing barrier shows as a wrong result in one of the two orders.

#include "runtime.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#if defined(__x86_64__) && !defined(METAL_CPU_UCONTEXT)
#define METAL_CPU_ASM 1
#else
#include <ucontext.h>
#endif

namespace metal_cpu {
namespace {

constexpr unsigned MOST_THREADS = 1024, MOST_LANES = 64;
constexpr size_t STACK = 256 << 10;

enum State : uint8_t { FRESH, READY, AT_SIMD, AT_GROUP, DONE };

#ifdef METAL_CPU_ASM
// Saves what a call must keep on the stack left, and restores it from the stack entered.
extern "C" void metal_cpu_switch(void** left, void* entered);
asm(R"(
.text
.p2align 4
.globl metal_cpu_switch
.hidden metal_cpu_switch
.type metal_cpu_switch,@function
metal_cpu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size metal_cpu_switch,.-metal_cpu_switch
)");

struct Context {
    void* sp = nullptr;
    void start(char* stack, void (*entry)()) {
        void** top = reinterpret_cast<void**>(stack + STACK);
        *--top = nullptr;  // where `entry` would return to
        *--top = reinterpret_cast<void*>(entry);
        for (int i = 0; i < 6; i++) *--top = nullptr;
        sp = top;
    }
    static void change(Context& from, Context& to) { metal_cpu_switch(&from.sp, to.sp); }
};
#else
struct Context {
    ucontext_t at;
    void start(char* stack, void (*entry)()) {
        getcontext(&at);
        at.uc_stack.ss_sp = stack;
        at.uc_stack.ss_size = STACK;
        at.uc_link = nullptr;
        makecontext(&at, entry, 0);
    }
    static void change(Context& from, Context& to) { swapcontext(&from.at, &to.at); }
};
#endif

struct Fiber {
    Context context;
    Thread thread;
    State state;
    unsigned stack;
    int line;
    const char* what;
};

struct Simdgroup {
    alignas(16) char values[2][MOST_LANES * LANE_BYTES];
    alignas(16) char result[2][LANE_BYTES];
    bool ready[2];
    unsigned meetings;
};

// A host thread's fibers. Stacks are mapped once, each with a page below it that faults.
struct Machine {
    Context scheduler;
    Fiber fibers[MOST_THREADS];
    Simdgroup simdgroups[MOST_THREADS];
    char* stacks = nullptr;
    size_t page = 0;
    unsigned mapped = 0;
    std::vector<unsigned> unused;
    std::vector<char> memory;
    char* shared = nullptr;
    const Launch* launch = nullptr;
    Body body = nullptr;
    Fiber* running = nullptr;
    bool failed = false;

    bool map_stacks() {
        if (stacks) return true;
        page = size_t(sysconf(_SC_PAGESIZE));
        const size_t each = STACK + page;
        void* memory = mmap(nullptr, each * MOST_THREADS, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return false;
        stacks = static_cast<char*>(memory);
        for (unsigned i = 0; i < MOST_THREADS; i++)
            if (mprotect(stacks + i * each, page, PROT_NONE) != 0) return false;
        return true;
    }
    char* stack(unsigned i) { return stacks + i * (STACK + page) + page; }

    void resume(Fiber& f);
    bool run_simdgroup(unsigned simd, unsigned first, unsigned count);
    bool run_group();
    void report(const char* format, va_list arguments);
    bool refuse(const char* format, ...) __attribute__((format(printf, 2, 3)));
};

thread_local Machine* machine = nullptr;

void enter() {
    Machine* m = machine;
    Fiber* f = m->running;
    m->body(f->thread);
    f->state = DONE;
    Context::change(f->context, m->scheduler);
    __builtin_trap();
}

void wait(Fiber& f, State state, int line, const char* what) {
    f.state = state;
    f.line = line;
    f.what = what;
    Context::change(f.context, machine->scheduler);
}

void Machine::report(const char* format, va_list arguments) {
    if (failed) return;
    failed = true;
    if (launch->message_bytes > 0) vsnprintf(launch->message, launch->message_bytes, format, arguments);
}

bool Machine::refuse(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    report(format, arguments);
    va_end(arguments);
    return false;
}

void Machine::resume(Fiber& f) {
    running = &f;
    if (f.state == FRESH) {
        f.stack = unused.back();
        unused.pop_back();
        f.context.start(stack(f.stack), enter);
    }
    f.state = READY;
    Context::change(scheduler, f.context);
    if (f.state == DONE) unused.push_back(f.stack);
}

// Runs the lanes of a simdgroup until all are done or all wait for the rest of the threadgroup.
bool Machine::run_simdgroup(unsigned simd, unsigned first, unsigned count) {
    Fiber* lanes = fibers + first;
    for (;;) {
        for (unsigned i = 0; i < count; i++) {
            Fiber& f = lanes[launch->backward ? count - 1 - i : i];
            if (f.state == FRESH || f.state == READY) resume(f);
            if (failed) return false;
        }
        const Fiber& one = lanes[0];
        for (unsigned i = 1; i < count; i++) {
            const Fiber& other = lanes[i];
            if (one.state == other.state && (one.state == DONE || one.line == other.line)) continue;
            const Fiber& waits = one.state == DONE ? other : one;
            const Fiber& strays = one.state == DONE ? one : other;
            if (strays.state == DONE)
                return refuse("thread %u waits in %s at line %d for thread %u, which has returned",
                              waits.thread.index, waits.what, waits.line, strays.thread.index);
            return refuse("thread %u waits in %s at line %d, thread %u of its simdgroup in %s at line %d",
                          waits.thread.index, waits.what, waits.line, strays.thread.index, strays.what, strays.line);
        }
        if (one.state != AT_SIMD) return true;
        Simdgroup& s = simdgroups[simd];
        s.meetings++;
        s.ready[s.meetings % 2] = false;
        for (unsigned i = 0; i < count; i++) lanes[i].state = READY;
    }
}

bool Machine::run_group() {
    const unsigned threads = launch->threads[0] * launch->threads[1] * launch->threads[2];
    const unsigned lanes = launch->lanes, simds = (threads + lanes - 1) / lanes;
    for (;;) {
        for (unsigned i = 0; i < simds; i++) {
            const unsigned simd = launch->backward ? simds - 1 - i : i;
            const unsigned first = simd * lanes;
            if (fibers[first].state == DONE) continue;
            if (!run_simdgroup(simd, first, threads - first < lanes ? threads - first : lanes)) return false;
        }
        const Fiber& one = fibers[0];
        for (unsigned simd = 1; simd < simds; simd++) {
            const Fiber& other = fibers[simd * lanes];
            if (one.state == other.state && (one.state == DONE || one.line == other.line)) continue;
            const Fiber& waits = one.state == DONE ? other : one;
            const Fiber& strays = one.state == DONE ? one : other;
            if (strays.state == DONE)
                return refuse("thread %u waits in %s at line %d for thread %u, which has returned",
                              waits.thread.index, waits.what, waits.line, strays.thread.index);
            return refuse("thread %u waits in %s at line %d, thread %u in %s at line %d", waits.thread.index,
                          waits.what, waits.line, strays.thread.index, strays.what, strays.line);
        }
        if (one.state == DONE) return true;
        for (unsigned i = 0; i < threads; i++) fibers[i].state = READY;
    }
}

// Machines outlive host threads: one that ends leaves its stacks to the next.
std::mutex idle_lock;
std::vector<Machine*> idle;

Machine* borrow() {
    {
        std::lock_guard<std::mutex> hold(idle_lock);
        if (!idle.empty()) {
            Machine* m = idle.back();
            idle.pop_back();
            return m;
        }
    }
    return new Machine;
}

void give_back(Machine* m) {
    std::lock_guard<std::mutex> hold(idle_lock);
    idle.push_back(m);
}

}  // namespace

void fault(const char* format, ...) {
    Machine* m = machine;
    va_list arguments;
    va_start(arguments, format);
    m->report(format, arguments);
    va_end(arguments);
    Context::change(m->running->context, m->scheduler);
    __builtin_trap();
}

void fault_binding(const void* slot, uint64_t index, uint64_t count) {
    const Launch* launch = machine->launch;
    const auto number = static_cast<const Slot*>(slot) - launch->slots;
    const Thread& t = machine->running->thread;
    fault("thread %u of group (%u, %u, %u) reaches element %llu of the %llu in buffer %lld", t.index, t.group[0],
          t.group[1], t.group[2], static_cast<unsigned long long>(index), static_cast<unsigned long long>(count),
          static_cast<long long>(number));
}

void fault_array(uint64_t index, uint64_t count) {
    const Thread& t = machine->running->thread;
    fault("thread %u of group (%u, %u, %u) reaches element %llu of an array of %llu", t.index, t.group[0], t.group[1],
          t.group[2], static_cast<unsigned long long>(index), static_cast<unsigned long long>(count));
}

void group_meet(int line, const char* what) { wait(*machine->running, AT_GROUP, line, what); }

Meeting simd_meet(const void* value, unsigned bytes, int line, const char* what) {
    Fiber& f = *machine->running;
    Simdgroup& s = machine->simdgroups[f.thread.simd];
    // Two buffers take turns: a lane may bring its next value while others still read this one.
    const unsigned turn = (s.meetings + 1) % 2;
    if (bytes > 0) memcpy(s.values[turn] + f.thread.lane * LANE_BYTES, value, bytes);
    wait(f, AT_SIMD, line, what);
    const Launch* launch = machine->launch;
    const unsigned threads = launch->threads[0] * launch->threads[1] * launch->threads[2];
    const unsigned first = f.thread.simd * launch->lanes;
    const unsigned lanes = threads - first < launch->lanes ? threads - first : launch->lanes;
    return Meeting{s.values[turn], s.result[turn], &s.ready[turn], f.thread.lane, lanes};
}

void check_range(const void* data, uint64_t bytes) {
    const Launch* launch = machine->launch;
    const auto from = reinterpret_cast<uintptr_t>(data);
    const auto holds = [&](const void* memory, uint64_t length) {
        const auto start = reinterpret_cast<uintptr_t>(memory);
        return from >= start && from - start <= length && bytes <= length - (from - start);
    };
    if (holds(machine->shared, launch->threadgroup_bytes)) return;
    for (uint32_t i = 0; i < launch->slot_count; i++)
        if (holds(launch->slots[i].data, launch->slots[i].bytes)) return;
    fault("a tile of %llu bytes reaches outside every binding", static_cast<unsigned long long>(bytes));
}

}  // namespace metal_cpu

using namespace metal_cpu;

// Runs all threadgroups of a launch; 0 when they went well, else the reason is in its message.
extern "C" int metal_cpu_launch(const Launch* launch, Body body) {
    const uint64_t threads = uint64_t(launch->threads[0]) * launch->threads[1] * launch->threads[2];
    Machine* m = borrow();
    m->launch = launch;
    m->body = body;
    m->failed = false;
    if (threads == 0 || threads > MOST_THREADS || launch->lanes == 0 || launch->lanes > MOST_LANES)
        m->refuse("a threadgroup of %llu threads, %u lanes", static_cast<unsigned long long>(threads), launch->lanes);
    else if (!m->map_stacks())
        m->refuse("no memory for the stacks of fibers");
    if (m->failed) {
        give_back(m);
        return 1;
    }
    machine = m;
    m->unused.clear();
    for (unsigned i = MOST_THREADS; i-- > 0;) m->unused.push_back(i);
    m->memory.resize(launch->threadgroup_bytes + 16);
    m->shared = m->memory.data() + -reinterpret_cast<uintptr_t>(m->memory.data()) % 16;
    bool well = true;
    const uint32_t* groups = launch->groups;
    for (uint32_t z = 0; well && z < groups[2]; z++)
        for (uint32_t y = 0; well && y < groups[1]; y++)
            for (uint32_t x = 0; well && x < groups[0]; x++) {
                // Not a number in any type: threadgroup memory has no contents to start with.
                memset(m->shared, 0xff, launch->threadgroup_bytes);
                for (unsigned i = 0; i < threads; i++) {
                    const uint32_t* size = launch->threads;
                    Thread& t = m->fibers[i].thread;
                    t.slots = launch->slots;
                    t.shared = m->shared;
                    memcpy(t.groups, groups, sizeof(t.groups));
                    memcpy(t.threads, size, sizeof(t.threads));
                    t.group[0] = x, t.group[1] = y, t.group[2] = z;
                    t.local[0] = i % size[0], t.local[1] = i / size[0] % size[1], t.local[2] = i / (size[0] * size[1]);
                    t.index = i;
                    t.lanes = launch->lanes;
                    t.lane = i % launch->lanes;
                    t.simd = i / launch->lanes;
                    t.simds = unsigned((threads + launch->lanes - 1) / launch->lanes);
                    m->fibers[i].state = FRESH;
                }
                for (unsigned s = 0; s * launch->lanes < threads; s++) m->simdgroups[s].meetings = 0;
                well = m->run_group();
            }
    machine = nullptr;
    give_back(m);
    return well ? 0 : 1;
}
