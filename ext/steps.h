/* For rules that are defined by clock steps: activities, and rows of weights. */
#ifndef REFLEXARC_STEPS_H
#define REFLEXARC_STEPS_H

#include "rule.h"

/* A trace below this many spikes per second counts as silence: it decays no further (denormal
 * numbers are slow). */
#define TRACE_FLOOR 1e-9

/* A low-pass of spikes; `keep` is exp(-dt / tau). */
typedef struct {
    double keep, gain;
} LowPass;

INLINE double passed(LowPass filter, double value, int fires)
{
    value = filter.keep * value + (fires ? filter.gain : 0.0);
    return fabs(value) >= TRACE_FLOOR ? value : 0.0;
}

/* Number k of what each source or target keeps, after this step's spikes. */
INLINE void pass_sources(const Learner *l, int64_t k, LowPass filter, int64_t now)
{
    double *trace = l->of_source + k * l->sources;
    for (int64_t j = 0; j < l->sources; j++)
        trace[j] = passed(filter, trace[j], l->fired[j] == now);
}

/* Returns whether any target is not silent. */
INLINE int pass_targets(const Learner *l, int64_t k, LowPass filter, int64_t now)
{
    double *trace = l->of_target + k * l->targets;
    int any = 0;
    for (int64_t i = 0; i < l->targets; i++) {
        trace[i] = passed(filter, trace[i], l->target[i].last == now);
        any |= trace[i] != 0.0;
    }
    return any;
}

/* What a rule sees of a weight, and what it makes of it. */
INLINE double strength(const Learner *l, int64_t k)
{
    return l->sign * (l->weight64 ? l->weight64[k] : (double)l->weight32[k]);
}

INLINE void set_strength(const Learner *l, int64_t k, double w)
{
    w = l->sign * bounded(l, w);
    if (l->weight64)
        l->weight64[k] = w;
    else
        l->weight32[k] = (float)w;
}

#endif
