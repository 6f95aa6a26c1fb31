/* Reward-modulated STDP; see RewardStdp for its meaning.
 *
 * Of a source: trace of its arrivals, mark of the latest. Of a target: trace of its spikes, in
 * Target. Of a synapse: its eligibility, as it would have been at its source's latest arrival had
 * it decayed since then to what it is.
 *
 * For all together: the integral over time of exp(-(t - start) / tau) (level - baseline), from the
 * start of an epoch on; a mark is what it is at a time, so that the change of a weight between two
 * marks is their difference, scaled. Epochs of 2 to 4 tau begin at multiples of a power of two of
 * ticks; of those that are over the totals are kept, for as long as an eligibility counts. */
#ifndef REFLEXARC_REWARD_STDP_H
#define REFLEXARC_REWARD_STDP_H

#include "pair_stdp.h"

/* Decays: 0 tau_plus, 1 tau_minus, 2 the eligibility's, 3 tau_plus as seen by an eligibility, which
 * decays too. A_PLUS and A_MINUS come first. */
enum { BASELINE = 2, EPOCH_BITS, EPOCH_KEPT };
/* Shared: up to when the integral is known, and what it is; since when the level is shown, and what
 * it was then; totals. A tick stands as its epoch and how far it lies into that: a double would hold
 * those of the exact engine for some hours only. */
enum { KNOWN, KNOWN_INTO, REWARD_SUM, SHOWN, SHOWN_INTO, REWARD_LEVEL, REWARD_TOTALS };
#define REWARD_EPOCHS 32

INLINE int64_t epoch_of(const Learner *l, int64_t at)
{
    return at >> (int64_t)l->parameter[EPOCH_BITS];
}

INLINE int64_t epoch_start(const Learner *l, int64_t epoch)
{
    return epoch << (int64_t)l->parameter[EPOCH_BITS];
}

INLINE int64_t tick_at(const Learner *l, int which)
{
    return epoch_start(l, (int64_t)l->shared[which]) + (int64_t)l->shared[which + 1];
}

INLINE void set_tick(Learner *l, int which, int64_t at)
{
    l->shared[which] = (double)epoch_of(l, at);
    l->shared[which + 1] = (double)(at - epoch_start(l, epoch_of(l, at)));
}

INLINE void reward_known(Learner *l, int64_t at, double sum)
{
    set_tick(l, KNOWN, at);
    l->shared[REWARD_SUM] = sum;
}

INLINE double *epoch_total(const Learner *l, int64_t epoch)
{
    return &l->shared[REWARD_TOTALS + (epoch & (REWARD_EPOCHS - 1))];
}

/* The integral from `at` on for `ticks` of exp(-rate t), times a tick. */
INLINE double held(const Learner *l, double rate, double ticks)
{
    return rate > 0.0 ? l->tick_s * -expm1(-rate * ticks) / rate : l->tick_s * ticks;
}

/* At a tick not before that one, in its epoch or at the end of it. */
INLINE double reward_ahead(const Learner *l, int64_t now)
{
    const double rate = l->decay[2].rate, fading = l->modulator_rate;
    const int64_t at = tick_at(l, KNOWN);
    const double ticks = (double)(now - at), age = (double)(at - tick_at(l, SHOWN));
    const double level = l->shared[REWARD_LEVEL] * exp(-fading * age);
    const double taught = level * held(l, rate + fading, ticks)
        - l->parameter[BASELINE] * held(l, rate, ticks);
    return l->shared[REWARD_SUM] + exp(-rate * l->shared[KNOWN_INTO]) * taught;
}

static double reward_mark(const Learner *l, int64_t now)
{
    if (epoch_of(l, now) < (int64_t)l->shared[KNOWN])
        return *epoch_total(l, epoch_of(l, now));
    return now <= tick_at(l, KNOWN) ? l->shared[REWARD_SUM] : reward_ahead(l, now);
}

/* The epochs before that of `now` are over; of a long time, those whose totals are kept. */
static void reward_reached(Learner *l, int64_t now)
{
    const int64_t last = epoch_of(l, now), kept = last - REWARD_EPOCHS;
    if ((int64_t)l->shared[KNOWN] < kept)
        reward_known(l, epoch_start(l, kept), 0.0);
    for (int64_t e = (int64_t)l->shared[KNOWN]; e < last; e++) {
        *epoch_total(l, e) = reward_ahead(l, epoch_start(l, e + 1));
        reward_known(l, epoch_start(l, e + 1), 0.0);
    }
}

static void reward_shown(Learner *l, int64_t now)
{
    const double level = l->modulator[0];
    reward_reached(l, now);
    reward_known(l, now, reward_mark(l, now));
    l->shared[REWARD_LEVEL] = isfinite(level) ? level : l->parameter[BASELINE];
    set_tick(l, SHOWN, now);
}

/* The level from this tick on is known; what follows begins with the next. */
static void reward_step(Learner *l, int64_t now)
{
    reward_shown(l, now);
    reward_reached(l, now + 1);
}

/* Second: what scales a difference of marks, 0 if the past is forgotten; third: what is left of an
 * eligibility by now; fourth: whether an epoch has begun since the latest arrival. */
INLINE void reward_begin(const Learner *l, Source *pre)
{
    const int64_t epoch = epoch_of(l, pre->fired), into = pre->fired - epoch_start(l, epoch);
    pre->trace = l->of_source[pre->source];
    pre->mark = l->of_source[l->sources + pre->source];
    pre->third = decayed(&l->decay[2], pre->now - pre->fired);
    pre->second = pre->third > 0.0 ? exp(l->decay[2].rate * (double)into) : 0.0;
    pre->fourth = pre->third > 0.0 && epoch < (int64_t)l->shared[KNOWN];
}

/* Between marks of two epochs: to the end of the one, through those between, into the other. */
static __attribute__((noinline)) double reward_across(
    const Learner *l, const Source *pre, Moment from, Moment to)
{
    const int64_t first = epoch_of(l, from.at), last = epoch_of(l, to.at);
    double scale = pre->second, taught = 0.0;
    for (int64_t e = epoch_of(l, pre->fired); e <= last; e++) {
        const double until = e == last ? to.mark : *epoch_total(l, e);
        if (e >= first)
            taught += scale * (e == first ? until - from.mark : until);
        scale *= l->parameter[EPOCH_KEPT];
    }
    return taught;
}

INLINE void reward_drift(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment to)
{
    double taught = pre->second * (to.mark - from.mark);
    if (__builtin_expect(pre->fourth != 0.0, 0))
        taught = reward_across(l, pre, from, to);
    s->w = bounded(l, s->w + s->state[0] * taught);
}

INLINE void reward_raise(
    const Learner *l, Synapse *s, const Source *pre, Moment from, Moment at, int first)
{
    (void)first;
    reward_drift(l, s, pre, from, at);
    s->state[0] += l->parameter[A_PLUS] * pre->trace
        * decayed(&l->decay[3], at.at - pre->fired);
}

INLINE void reward_lower(
    const Learner *l, Synapse *s, const Source *pre, const Target *post, Moment from)
{
    const double y = post->trace * decayed(&l->decay[1], pre->now - post->last);
    (void)from;
    s->state[0] = s->state[0] * pre->third - l->parameter[A_MINUS] * y;
}

#define RULE reward
#define STATES 1
#define FINISHES
#include "rows.h"

/* While a row does not learn, its eligibilities decay here. */
static void reward_sent(Learner *l, int64_t j, int64_t now)
{
    const double kept = decayed(&l->decay[2], now - l->fired[j]);
    for (int64_t k = l->rows[j]; !l->active && k < l->rows[j + 1]; k++)
        l->of_synapse[k] *= kept;
    l->of_source[l->sources + j] = reward_mark(l, now);
    sent(l, j, now);
}

static double reward_spiked(Learner *l, int64_t i, int64_t now)
{
    spiked(l, i, now);
    return reward_mark(l, now);
}

static const Kernel reward_stdp = {
    .abi = KERNEL_ABI,
    .per_source = 2,
    .per_synapse = 1,
    .shared = REWARD_TOTALS + REWARD_EPOCHS,
    .arrive = reward_arrive,
    .settle = reward_settle,
    .finish = reward_finish,
    .sent = reward_sent,
    .spiked = reward_spiked,
    .mark = reward_mark,
    .step = reward_step,
    .shown = reward_shown,
    .reached = reward_reached,
};

#endif
