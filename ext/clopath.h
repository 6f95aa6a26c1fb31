/* Voltage-based STDP; see Clopath for its meaning.
 *
 * Of a source: trace of its arrivals. Of a target: low-passed voltages, above rest, those of the
 * latest steps, and for how long it is still seen to spike; its Target holds what an arrival lowers
 * by. A target's events are the steps that raise; their mark is by how much. */
#ifndef REFLEXARC_CLOPATH_H
#define REFLEXARC_CLOPATH_H

#include "pair_stdp.h"

/* Decays: 0 of arrivals. KEEP_: what a low-pass keeps in a step. */
enum {
    A_LTP, A_LTD, THETA_PLUS, THETA_MINUS, V_REST, V_SPIKE, SPIKE_STEPS, PER_ARRIVAL,
    KEEP_PLUS, KEEP_MINUS, KEEP_MEAN, REFERENCE, LATE
};
/* Numbers of a target: LATE of u_plus and LATE of u_minus follow. */
enum { U_PLUS, U_MINUS, U_MEAN, SPIKING, U_LATE };

INLINE void clopath_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    /* The voltage is that at the end of a step. */
    const double x = pre->trace * decayed(&l->decay[0], at.at + 1 - pre->fired);
    (void)from, (void)first;
    s->w = bounded(l, s->w + l->parameter[PER_ARRIVAL] * x * at.mark);
}

INLINE void clopath_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    (void)pre, (void)from;
    s->w = bounded(l, s->w - post->trace);
}

#define clopath_begin take_trace
#define RULE clopath
#define STATES 0
#include "rows.h"

INLINE double *of_target(const Learner *l, int64_t i, int64_t number)
{
    return &l->of_target[number * l->targets + i];
}

static double clopath_spiked(Learner *l, int64_t i, int64_t now)
{
    (void)now;
    *of_target(l, i, SPIKING) = l->parameter[SPIKE_STEPS];
    return 0.0;
}

/* What a target shows to the rule at the end of a step, above rest. */
INLINE double clopath_voltage(Learner *l, int64_t i)
{
    double *spiking = of_target(l, i, SPIKING);
    if (*spiking <= 0.0)
        return l->voltage[i] - l->parameter[V_REST];
    *spiking -= 1.0;
    return l->parameter[V_SPIKE] - l->parameter[V_REST];
}

INLINE double low_pass(double *u, double keep, double v) { return *u = keep * *u + (1.0 - keep) * v; }

/* Of a ring of `late` numbers: what was put in so many steps ago. */
INLINE double delayed(Learner *l, int64_t i, int64_t ring, int64_t now, double u)
{
    const int64_t late = (int64_t)l->parameter[LATE];
    double *place, before;
    if (late == 0)
        return u;
    place = of_target(l, i, U_LATE + ring * late + now % late);
    before = *place;
    *place = u;
    return before;
}

/* By how much a step raises, or 0. */
static double clopath_event(Learner *l, int64_t i, int64_t now)
{
    const double *p = l->parameter, rest = p[V_REST], v = clopath_voltage(l, i);
    const double plus = low_pass(of_target(l, i, U_PLUS), p[KEEP_PLUS], v);
    const double minus = low_pass(of_target(l, i, U_MINUS), p[KEEP_MINUS], v);
    const double mean = low_pass(of_target(l, i, U_MEAN), p[KEEP_MEAN], minus);
    const double over = v + rest - p[THETA_PLUS];
    const double plus_over = delayed(l, i, 0, now, plus) + rest - p[THETA_MINUS];
    const double minus_over = delayed(l, i, 1, now, minus) + rest - p[THETA_MINUS];
    const double share = p[REFERENCE] > 0.0 ? mean * mean / p[REFERENCE] : 1.0;
    l->target[i].trace = minus_over > 0.0 ? p[A_LTD] * share * minus_over : 0.0;
    return over > 0.0 && plus_over > 0.0 ? p[A_LTP] * l->tick_s * over * plus_over : 0.0;
}

static const Kernel clopath = {
    .abi = KERNEL_ABI,
    .per_source = 1,
    .per_target = U_LATE,
    .arrive = clopath_arrive,
    .settle = clopath_settle,
    .sent = sent,
    .spiked = clopath_spiked,
    .event = clopath_event,
};

#endif
