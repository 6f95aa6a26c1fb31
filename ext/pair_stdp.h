/* Pair STDP; see PairStdp for its meaning.
 *
 * Of a source: trace of its arrivals. Of a target: trace of its spikes, in Target. Of a synapse in
 * the presynaptic-centred pairing: the source's trace since the target's latest spike. */
#ifndef REFLEXARC_PAIR_STDP_H
#define REFLEXARC_PAIR_STDP_H

#include "rule.h"

/* The rule's parameters in their order; decays: 0 of arrivals, 1 of the targets' spikes. */
enum { A_PLUS, A_MINUS, MU_PLUS, MU_MINUS };

/* `w` raised in proportion to x: by mu from additive (0) to multiplicative (1) (Guetig et al. 2003,
 * J. Neurosci. 23). */
INLINE double potentiated(const Learner *l, double w, double x)
{
    const double mu = l->parameter[MU_PLUS];
    double a = l->parameter[A_PLUS];
    if (mu != 0.0)
        a *= pow((l->w_max - w) / (l->w_max - l->w_min), mu);
    return lesser(w + a * x, l->w_max);
}

INLINE double depressed(const Learner *l, double w, double x)
{
    const double mu = l->parameter[MU_MINUS];
    double a = l->parameter[A_MINUS];
    if (mu != 0.0)
        a *= pow((w - l->w_min) / (l->w_max - l->w_min), mu);
    return greater(w - a * x, l->w_min);
}

INLINE void take_trace(const Learner *l, Source *pre) { pre->trace = l->of_source[pre->source]; }

INLINE void pair_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    (void)from, (void)first;
    s->w = potentiated(l, s->w, pre->trace * decayed(&l->decay[0], at.at - pre->fired));
}

INLINE void pair_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    (void)from;
    s->w = depressed(l, s->w, post->trace * decayed(&l->decay[1], pre->now - post->last));
}

/* Every pair: Song, Miller & Abbott 2000. */
#define all_begin take_trace
#define all_raise pair_raise
#define all_lower pair_lower
#define RULE all
#define STATES 0
#include "rows.h"

/* The same where both mu are 0, which is quicker. */
INLINE void additive_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    const double a = l->parameter[A_PLUS] * pre->trace;
    (void)from, (void)first;
    s->w = lesser(s->w + a * decayed(&l->decay[0], at.at - pre->fired), l->w_max);
}

INLINE void additive_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    const double a = l->parameter[A_MINUS] * post->trace;
    (void)from;
    s->w = greater(s->w - a * decayed(&l->decay[1], pre->now - post->last), l->w_min);
}

#define additive_begin take_trace
#define RULE additive
#define STATES 0
#include "rows.h"

/* Either spike with the other's latest one: Morrison, Diesmann & Gerstner 2008, fig. 7a. The same,
 * as `sent_alone` and `spiked_alone` leave traces of one spike. */

/* Immediate pairs only: fig. 7c. */
INLINE void restricted_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    if (first)
        pair_raise(l, s, pre, from, at, first);
}

INLINE void restricted_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    if (post->last >= pre->fired)
        pair_lower(l, s, pre, post, from);
}

#define restricted_begin take_trace
#define RULE restricted
#define STATES 0
#include "rows.h"

/* A source's spike with the target's latest before and its next after it: fig. 7b. */
INLINE void centred_begin(const Learner *l, Source *pre)
{
    (void)l;
    pre->second = decayed(&l->decay[0], pre->now - pre->fired);
}

INLINE void centred_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    (void)from, (void)first;
    s->w = potentiated(l, s->w, s->state[0] * decayed(&l->decay[0], at.at - pre->fired));
    s->state[0] = 0.0;
}

INLINE void centred_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    pair_lower(l, s, pre, post, from);
    s->state[0] = s->state[0] * pre->second + 1.0;
}

#define RULE centred
#define STATES 1
#include "rows.h"

static void sent(Learner *l, int64_t j, int64_t now)
{
    l->of_source[j] = l->of_source[j] * decayed(&l->decay[0], now - l->fired[j]) + 1.0;
}

static void sent_alone(Learner *l, int64_t j, int64_t now)
{
    (void)now;
    l->of_source[j] = 1.0;
}

static double spiked(Learner *l, int64_t i, int64_t now)
{
    Target *post = &l->target[i];
    post->trace = post->trace * decayed(&l->decay[1], now - post->last) + 1.0;
    return 0.0;
}

static double spiked_alone(Learner *l, int64_t i, int64_t now)
{
    (void)now;
    l->target[i].trace = 1.0;
    return 0.0;
}

#define PAIR_KERNEL(name, rows, synapse, sends, spikes)                              \
    static const Kernel name = {                                                     \
        .abi = KERNEL_ABI,                                                           \
        .per_source = 1,                                                             \
        .per_synapse = synapse,                                                      \
        .arrive = rows##_arrive,                                                     \
        .settle = rows##_settle,                                                     \
        .sent = sends,                                                               \
        .spiked = spikes,                                                            \
    };

PAIR_KERNEL(pair_all_to_all, all, 0, sent, spiked)
PAIR_KERNEL(pair_all_to_all_additive, additive, 0, sent, spiked)
PAIR_KERNEL(pair_nearest_symmetric, all, 0, sent_alone, spiked_alone)
PAIR_KERNEL(pair_nearest_symmetric_additive, additive, 0, sent_alone, spiked_alone)
PAIR_KERNEL(pair_presynaptic_centred, centred, 1, sent_alone, spiked_alone)
PAIR_KERNEL(pair_restricted_symmetric, restricted, 0, sent_alone, spiked_alone)

#endif
