/* Pair-based spike-timing-dependent plasticity, all pairs, additive within bounds: one row.
 *
 * Loops over the synapses of a source; ext/stdp.pyx says when which of them is called. */
#ifndef REFLEXARC_STDP_H
#define REFLEXARC_STDP_H

#include "wide.h"

/* What a synapse asks of its target each time: kept together, one line of cache. */
typedef struct {
    int32_t last;      /* the low 32 bits of the step of its latest spike: a filter, see `raised` */
    int32_t previous;  /* and of the one before */
    float trace;       /* of its spikes, as it was at the latest */
} Target;

typedef struct {
    Target *target;
    int64_t *spikes;           /* of each target so far: the next goes to spikes % depth */
    int64_t *history;          /* steps of its latest spikes, [target][depth] */
    int64_t depth;             /* a power of two */
    const float *decay_plus;   /* exp(-steps dt / tau_plus), 0 at `window` */
    const float *decay_minus;
    int64_t window;            /* pairs this many steps apart or more count for nothing */
    float up, down, w_min, w_max;
} Stdp;

/* Raise `w` by each spike of target i after step `since`; the source's latest spike was at `fired`
 * and left its trace at `trace`. */
static float raised(const Stdp *s, int64_t i, float w, int64_t since, int64_t fired, float trace)
{
    const int64_t mask = s->depth - 1, end = s->spikes[i];
    const int64_t *history = s->history + i * s->depth;
    const int64_t oldest = end > s->depth ? end - s->depth : 0;
    int64_t k = end;
    while (k > oldest && history[(k - 1) & mask] > since)
        k--;
    for (; k < end && history[k & mask] - fired < s->window; k++) {
        w += s->up * (trace * s->decay_plus[history[k & mask] - fired]);
        w = w < s->w_max ? w : s->w_max;
    }
    return w;
}

/* Whether a step, of which 32 bits are known, lies after another that is not much older. */
static inline int is_after(int32_t step, int64_t since)
{
    return (int32_t)((uint32_t)step - (uint32_t)since) > 0;
}

/* The same where there was one such spike, `steps` after the source's. */
static inline float raised_once(const Stdp *s, float w, uint32_t steps, float trace)
{
    if (steps >= (uint32_t)s->window)
        return w;
    w += s->up * (trace * s->decay_plus[steps]);
    return w < s->w_max ? w : s->w_max;
}

#define STDP_ROW(width, index)                                                       \
    /* The source fires: its synapses catch up, deliver, and are lowered. */         \
    static inline void learn_row##width(                                             \
        const Stdp *s, float *restrict arrived, const index *restrict targets,       \
        float *restrict weights, int64_t count, int64_t now, int64_t since,          \
        int64_t fired, float trace, float value)                                     \
    {                                                                                \
        const float down = s->down, w_min = s->w_min;                                \
        const uint32_t window = (uint32_t)s->window;                                 \
        for (int64_t k = 0; k < count; k++) {                                        \
            const int64_t i = targets[k];                                            \
            const Target target = s->target[i];                                      \
            const uint32_t ago = (uint32_t)now - (uint32_t)target.last;              \
            float w = weights[k];                                                    \
            if (is_after(target.last, since))                                        \
                w = is_after(target.previous, since)                                 \
                    ? raised(s, i, w, since, fired, trace)                           \
                    : raised_once(s, w, (uint32_t)target.last - (uint32_t)fired, trace); \
            arrived[i] += w * value;                                                 \
            w -= down * (target.trace * s->decay_minus[ago < window ? ago : window]); \
            weights[k] = w > w_min ? w : w_min;                                      \
        }                                                                            \
    }                                                                                \
    /* Catch up only. */                                                             \
    static inline void settle_row##width(                                            \
        const Stdp *s, const index *restrict targets, float *restrict weights,       \
        int64_t count, int64_t since, int64_t fired, float trace)                    \
    {                                                                                \
        for (int64_t k = 0; k < count; k++)                                          \
            if (is_after(s->target[targets[k]].last, since))                         \
                weights[k] = raised(s, targets[k], weights[k], since, fired, trace); \
    }

STDP_ROW(16, uint16_t)
STDP_ROW(32, int32_t)

#endif
