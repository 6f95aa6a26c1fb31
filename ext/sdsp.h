/* Spike-driven synaptic plasticity; see Sdsp for its meaning.
 *
 * Of a target: calcium, in Target, and its voltage, both as they are at the end of the latest step.
 * Of a synapse: X as it was at its source's latest arrival. X drifts away from its threshold, so that
 * time alone changes no weight; and nothing is ever replayed, as targets have no events. */
#ifndef REFLEXARC_SDSP_H
#define REFLEXARC_SDSP_H

#include "pair_stdp.h"

enum {
    JUMP_UP, JUMP_DOWN, DRIFT_UP, DRIFT_DOWN, THETA_X, THETA_V,
    UP_LOW, UP_HIGH, DOWN_LOW, DOWN_HIGH, CALCIUM_JUMP, CALCIUM_KEPT
};

INLINE double of_unit(double x) { return x < 0.0 ? 0.0 : x < 1.0 ? x : 1.0; }

INLINE double drifted(const Learner *l, double x, int64_t ticks)
{
    const double *p = l->parameter;
    return of_unit(x + (double)ticks * (x > p[THETA_X] ? p[DRIFT_UP] : -p[DRIFT_DOWN]));
}

INLINE int64_t since_arrival(int64_t fired, int64_t now) { return now - (fired > 0 ? fired : 0); }

INLINE void sdsp_begin(const Learner *l, Source *pre) { (void)l, (void)pre; }

INLINE void sdsp_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    (void)l, (void)s, (void)pre, (void)from, (void)at, (void)first;
}

INLINE void sdsp_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    const double *p = l->parameter, calcium = post->trace;
    const int up = l->of_target[s->target] > p[THETA_V];
    double x = drifted(l, s->state[0], since_arrival(pre->fired, pre->now));
    (void)from;
    if (up && p[UP_LOW] < calcium && calcium < p[UP_HIGH])
        x = of_unit(x + p[JUMP_UP]);
    else if (!up && p[DOWN_LOW] < calcium && calcium < p[DOWN_HIGH])
        x = of_unit(x - p[JUMP_DOWN]);
    s->state[0] = x;
    s->w = x > p[THETA_X] ? l->w_max : l->w_min;
}

#define RULE sdsp
#define STATES 1
#include "rows.h"

/* While a row does not learn, its X drift here. */
static void sdsp_sent(Learner *l, int64_t j, int64_t now)
{
    const int64_t ticks = since_arrival(l->fired[j], now);
    for (int64_t k = l->rows[j]; !l->active && k < l->rows[j + 1]; k++)
        l->of_synapse[k] = drifted(l, l->of_synapse[k], ticks);
}

static double sdsp_spiked(Learner *l, int64_t i, int64_t now)
{
    (void)now;
    l->target[i].trace += l->parameter[CALCIUM_JUMP];
    return 0.0;
}

static double sdsp_event(Learner *l, int64_t i, int64_t now)
{
    (void)now;
    l->target[i].trace *= l->parameter[CALCIUM_KEPT];
    l->of_target[i] = l->voltage[i];
    return 0.0;
}

static const Kernel sdsp = {
    .abi = KERNEL_ABI,
    .per_target = 1,
    .per_synapse = 1,
    .arrive = sdsp_arrive,
    .settle = sdsp_settle,
    .sent = sdsp_sent,
    .spiked = sdsp_spiked,
    .event = sdsp_event,
};

#endif
