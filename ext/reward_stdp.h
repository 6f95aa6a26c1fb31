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
/* Shared: the integral at a tick, and the level from that tick on; totals of epochs. */
enum { REWARD_AT, REWARD_SUM, REWARD_LEVEL, REWARD_TOTALS };
#define REWARD_EPOCHS 32

INLINE int64_t epoch_of(const Learner *l, int64_t at)
{
    return at >> (int64_t)l->parameter[EPOCH_BITS];
}

INLINE int64_t epoch_start(const Learner *l, int64_t epoch)
{
    return epoch << (int64_t)l->parameter[EPOCH_BITS];
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

/* At a tick not before the latest change of the level, in its epoch. */
INLINE double reward_ahead(const Learner *l, int64_t now)
{
    const double at = l->shared[REWARD_AT], rate = l->decay[2].rate;
    const double from = at - (double)epoch_start(l, epoch_of(l, (int64_t)at));
    const double ticks = (double)now - at;
    const double taught = l->shared[REWARD_LEVEL] * held(l, rate + l->modulator_rate, ticks)
        - l->parameter[BASELINE] * held(l, rate, ticks);
    return l->shared[REWARD_SUM] + exp(-rate * from) * taught;
}

static double reward_mark(const Learner *l, int64_t now)
{
    const int64_t at = (int64_t)l->shared[REWARD_AT];
    if (epoch_of(l, now) < epoch_of(l, at))
        return *epoch_total(l, epoch_of(l, now));
    return now <= at ? l->shared[REWARD_SUM] : reward_ahead(l, now);
}

/* The level from this tick on is known; what follows begins with the next. */
static void reward_step(Learner *l, int64_t now)
{
    const double level = l->modulator[0];
    l->shared[REWARD_SUM] = reward_mark(l, now);
    l->shared[REWARD_AT] = (double)now;
    l->shared[REWARD_LEVEL] = isfinite(level) ? level : l->parameter[BASELINE];
    if (epoch_of(l, now + 1) == epoch_of(l, now))
        return;
    *epoch_total(l, epoch_of(l, now)) = reward_ahead(l, now + 1);
    l->shared[REWARD_SUM] = 0.0;
    l->shared[REWARD_AT] = (double)(now + 1);
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
    pre->fourth = pre->third > 0.0 && epoch < epoch_of(l, (int64_t)l->shared[REWARD_AT]);
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
};

#endif
