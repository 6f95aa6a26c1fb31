/* Triplet STDP; see TripletStdp for its meaning. Names as in Pfister & Gerstner 2006.
 *
 * Of a source: r1, r2. Of a target: o1 in Target, o2; the mark of a spike is o2 just before it. */
#ifndef REFLEXARC_TRIPLET_STDP_H
#define REFLEXARC_TRIPLET_STDP_H

#include "rule.h"

/* Decays: 0 tau_plus (r1), 1 tau_minus (o1), 2 tau_x (r2), 3 tau_y (o2). */
enum { A2_PLUS, A3_PLUS, A2_MINUS, A3_MINUS };

INLINE void triplet_begin(const Learner *l, Source *pre)
{
    pre->trace = l->of_source[pre->source];
    pre->second = l->of_source[l->sources + pre->source]
        * decayed(&l->decay[2], pre->now - pre->fired);
}

INLINE void triplet_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    const double r1 = pre->trace * decayed(&l->decay[0], at.at - pre->fired);
    const double w = s->w + r1 * (l->parameter[A2_PLUS] + l->parameter[A3_PLUS] * at.mark);
    (void)from, (void)first;
    s->w = lesser(w, l->w_max);
}

INLINE void triplet_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    const double o1 = post->trace * decayed(&l->decay[1], pre->now - post->last);
    const double w = s->w - o1 * (l->parameter[A2_MINUS] + l->parameter[A3_MINUS] * pre->second);
    (void)from;
    s->w = greater(w, l->w_min);
}

#define RULE triplet
#define STATES 0
#include "rows.h"

INLINE void triplet_trace(Learner *l, int64_t j, int64_t now, double kept)
{
    const int64_t ago = now - l->fired[j];
    double *r1 = l->of_source + j, *r2 = l->of_source + l->sources + j;
    *r1 = kept * *r1 * decayed(&l->decay[0], ago) + 1.0;
    *r2 = kept * *r2 * decayed(&l->decay[2], ago) + 1.0;
}

INLINE double triplet_mark(Learner *l, int64_t i, int64_t now, double kept)
{
    Target *post = &l->target[i];
    const int64_t ago = now - post->last;
    const double o2 = l->of_target[i] * decayed(&l->decay[3], ago);
    post->trace = kept * post->trace * decayed(&l->decay[1], ago) + 1.0;
    l->of_target[i] = kept * o2 + 1.0;
    return o2;
}

static void triplet_sent(Learner *l, int64_t j, int64_t now) { triplet_trace(l, j, now, 1.0); }
static void nearest_sent(Learner *l, int64_t j, int64_t now) { triplet_trace(l, j, now, 0.0); }
static double triplet_spiked(Learner *l, int64_t i, int64_t now)
{
    return triplet_mark(l, i, now, 1.0);
}
static double nearest_spiked(Learner *l, int64_t i, int64_t now)
{
    return triplet_mark(l, i, now, 0.0);
}

#define TRIPLET_KERNEL(name, sends, spikes)                                          \
    static const Kernel name = {                                                     \
        .abi = KERNEL_ABI,                                                           \
        .per_source = 2,                                                             \
        .per_target = 1,                                                             \
        .arrive = triplet_arrive,                                                    \
        .settle = triplet_settle,                                                    \
        .sent = sends,                                                               \
        .spiked = spikes,                                                            \
    };

TRIPLET_KERNEL(triplet_all_to_all, triplet_sent, triplet_spiked)
TRIPLET_KERNEL(triplet_nearest, nearest_sent, nearest_spiked)

#endif
