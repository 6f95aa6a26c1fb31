/* Threads that run the same program in step with one another.
 *
 * They live as long as one call and meet by spinning: a step of a large network takes tens of
 * microseconds, waking a sleeping thread takes as long. One that waits longer gives up its core. */
#ifndef REFLEXARC_CREW_H
#define REFLEXARC_CREW_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MOST_THREADS 64

typedef struct {
    int64_t threads;
    int64_t arrived;
    int64_t phase;
    int64_t go; /* 0 wait, 1 run, -1 turn back */
    void *machine;
    void (*work)(void *machine, int64_t thread);
} Crew;

typedef struct {
    Crew *crew;
    int64_t thread;
} Hand;

static inline void breathe(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Wait until every thread of the crew has come here. */
static inline void meet(Crew *crew)
{
    int64_t phase, spins = 0;
    if (crew->threads < 2)
        return;
    phase = __atomic_load_n(&crew->phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&crew->arrived, 1, __ATOMIC_ACQ_REL) == crew->threads) {
        __atomic_store_n(&crew->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&crew->phase, phase + 1, __ATOMIC_RELEASE);
        return;
    }
    while (__atomic_load_n(&crew->phase, __ATOMIC_ACQUIRE) == phase) {
        if (++spins < 200) /* a few microseconds; then another may need the core */
            breathe();
        else
            sched_yield();
    }
}

/* Numbers too small for full precision count as zero: they are slow, and none matters here. */
static inline uint64_t flush_tiny(void)
{
#if defined(__x86_64__)
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u);
    return before;
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (1ull << 24)));
    return before;
#else
    return 0;
#endif
}

static inline void keep_tiny(uint64_t before)
{
#if defined(__x86_64__)
    _mm_setcsr((unsigned)before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
    (void)before;
#endif
}

static inline void *lend_a_hand(void *hand)
{
    Crew *crew = ((Hand *)hand)->crew;
    const uint64_t before = flush_tiny();
    while (__atomic_load_n(&crew->go, __ATOMIC_ACQUIRE) == 0)
        breathe();
    if (crew->go == 1)
        crew->work(crew->machine, ((Hand *)hand)->thread);
    keep_tiny(before);
    return 0;
}

/* Run `work` on every thread, the caller's among them. Returns 0, with nothing run, where a thread
 * could not be started. */
static inline int run_crew(Crew *crew)
{
    pthread_t ids[MOST_THREADS];
    Hand hands[MOST_THREADS];
    int64_t started = 1;
    crew->arrived = 0;
    crew->go = 0;
    hands[0].crew = crew;
    hands[0].thread = 0;
    for (; started < crew->threads; started++) {
        hands[started].crew = crew;
        hands[started].thread = started;
        if (pthread_create(&ids[started], 0, lend_a_hand, &hands[started]))
            break;
    }
    __atomic_store_n(&crew->go, started == crew->threads ? 1 : -1, __ATOMIC_RELEASE);
    lend_a_hand(&hands[0]);
    for (int64_t k = 1; k < started; k++)
        pthread_join(ids[k], 0);
    return crew->go == 1;
}

#endif
