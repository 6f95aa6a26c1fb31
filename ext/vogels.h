/* Inhibitory STDP; see Vogels for its meaning. Traces of sources and targets as in pair STDP. */
#ifndef REFLEXARC_VOGELS_H
#define REFLEXARC_VOGELS_H

#include "pair_stdp.h"

/* Decays: 0 of arrivals, 1 of the targets' spikes. */
enum { VOGELS_RATE, VOGELS_ALPHA };

INLINE void vogels_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    const double x = pre->trace * decayed(&l->decay[0], at.at - pre->fired);
    (void)from, (void)first;
    s->w = bounded(l, s->w + l->parameter[VOGELS_RATE] * x);
}

INLINE void vogels_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    const double rate = l->parameter[VOGELS_RATE];
    const double y = post->trace * decayed(&l->decay[1], pre->now - post->last);
    (void)from;
    s->w = bounded(l, s->w + rate * y);
    s->w = bounded(l, s->w - rate * l->parameter[VOGELS_ALPHA]);
}

#define vogels_begin take_trace
#define RULE vogels
#define STATES 0
#include "rows.h"

PAIR_KERNEL(vogels_stdp, vogels, 0, sent, spiked)

#endif
