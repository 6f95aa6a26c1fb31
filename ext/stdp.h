/* Pair-based spike-timing-dependent plasticity, all pairs, additive within bounds.
 *
 * A synapse is brought up to date only when its source fires (Morrison, Aertsen & Diesmann 2007,
 * Neural Comput. 19): then the spikes of its target since it was last touched raise it, one by one,
 * it delivers, and the target's trace lowers it. So a silent synapse costs nothing and no index by
 * target is kept. Spikes of the target are remembered for `window` steps after which a pair counts
 * for nothing; a row whose source stays silent is brought up to date before they are forgotten. */
#ifndef REFLEXARC_STDP_H
#define REFLEXARC_STDP_H

#include "wide.h"

typedef struct {
    /* of each target */
    const int64_t *last_spike;   /* step, or -1 */
    const int64_t *spikes;       /* how many so far: the next goes to spikes % depth */
    const int64_t *history;      /* steps of the latest spikes, [target][depth] */
    const float *trace;          /* of its spikes, decayed to now */
    int64_t depth;               /* a power of two */
    /* of the rule */
    const float *decay;          /* exp(-steps dt / tau_plus), [window + 1] */
    int64_t window;
    float up, down, w_min, w_max;
} Stdp;

/* Raise `w` by every spike of target i after step `since`, the source's last spike being at
 * `fired` with a trace of `trace`. */
static float raised(const Stdp *s, int64_t i, float w, int64_t since, int64_t fired, float trace)
{
    const int64_t mask = s->depth - 1, *history = s->history + i * s->depth;
    int64_t k = s->spikes[i];
    const int64_t oldest = k > s->depth ? k - s->depth : 0, end = k;
    while (k > oldest && history[(k - 1) & mask] > since)
        k--;
    for (; k < end; k++) {
        const int64_t steps = history[k & mask] - fired;
        if (steps > s->window)
            break;
        w += s->up * (trace * s->decay[steps]);
        w = w < s->w_max ? w : s->w_max;
    }
    return w;
}

#define STDP_ROW(name, index)                                                        \
    /* The source fires: its synapses catch up, deliver and are lowered. */          \
    static void learn_row##name(                                                     \
        const Stdp *s, float *restrict arrived, const index *restrict targets,       \
        float *restrict weights, int64_t count, int64_t since, int64_t fired, float trace) \
    {                                                                                \
        const float down = s->down, w_min = s->w_min;                                \
        for (int64_t k = 0; k < count; k++) {                                        \
            const int64_t i = targets[k];                                            \
            float w = weights[k], lower;                                             \
            if (s->last_spike[i] > since)                                            \
                w = raised(s, i, w, since, fired, trace);                            \
            arrived[i] += w;                                                         \
            lower = w - down * s->trace[i];                                          \
            weights[k] = lower > w_min ? lower : (w < w_min ? w : w_min);            \
        }                                                                            \
    }                                                                                \
    /* Catch up only. */                                                             \
    static void settle_row##name(                                                    \
        const Stdp *s, const index *restrict targets, float *restrict weights,       \
        int64_t count, int64_t since, int64_t fired, float trace)                    \
    {                                                                                \
        for (int64_t k = 0; k < count; k++)                                          \
            if (s->last_spike[targets[k]] > since)                                   \
                weights[k] = raised(s, targets[k], weights[k], since, fired, trace); \
    }

STDP_ROW(16, uint16_t)
STDP_ROW(32, int32_t)

#endif
