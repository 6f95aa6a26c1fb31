/* The loops over a row for a rule of spikes: a template. Define RULE and STATES, the numbers that
 * it keeps for each synapse, and before it, with RULE's name in front:
 *
 *   begin(l, pre)                    what of a source its synapses share
 *   raise(l, s, pre, from, at, first)  the target fires at `at`; the synapse's latest event was at
 *                                    `from`, and `first` says if it is the first since the arrival
 *   lower(l, s, pre, post, from)     a spike arrives at pre->now
 *
 * and, if FINISHES is defined,
 *   drift(l, s, pre, from, to)       what time alone does; `raise` calls it itself, and by the time
 *                                    of `lower` it has been done
 *
 * It defines RULE_arrive, RULE_settle and RULE_finish. A Moment's mark is what `spiked` or `mark`
 * returned for it, or for an arrival what `begin` put into pre->mark. */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(part) JOIN(RULE, part)

#ifndef REFLEXARC_ROWS_H
#define REFLEXARC_ROWS_H
/* With nothing to replay where the past is too long ago. */
INLINE Source source_of(const Learner *l, int64_t j, int64_t now)
{
    Source pre = {j, l->fired[j], l->since[j], now, 0.0, 0.0, 0.0, 0.0, 0.0};
    if (pre.fired < 0 || pre.since >= pre.fired + l->window || now >= pre.fired + l->window)
        pre.since = INT64_MAX;
    return pre;
}
/* What is left of a weight when it is stored: rounded at each spike, it does not matter whether it
 * was read in between. */
INLINE double kept(double w, const int wide) { return wide ? w : (double)(float)w; }
INLINE Moment later_of(Moment a, Moment b) { return a.at > b.at ? a : b; }
/* The latest event of a synapse whose target's spikes have all been replayed. */
INLINE Moment latest_event(const Source *pre, const Target *post, Moment begun)
{
    const Moment fired = {pre->fired, pre->mark}, last = {post->last, post->mark};
    return later_of(later_of(fired, last), begun);
}
/* A target is fetched so many synapses before its turn. */
#define AHEAD 12
#define ROW_KINDS(call)                                                              \
    if (l->weight64) {                                                               \
        if (l->targets16) { call(0, 1) }                                             \
        else if (l->targets32) { call(1, 1) }                                        \
        else { call(2, 1) }                                                          \
    } else if (l->targets16) { call(0, 0) }                                          \
    else if (l->targets32) { call(1, 0) }                                            \
    else { call(2, 0) }
#endif

/* More than one spike of the target, seldom: from its history. */
static __attribute__((noinline)) void NAME(replay)(
    const Learner *l, int64_t i, Synapse *s, const Source *pre)
{
    int64_t k = first_after(l, i, pre->since);
    Moment from = later_of((Moment){pre->fired, pre->mark}, *l->begun);
    int first = 1;
    if (k > 0 && l->spikes[i] - k < l->depth && spike_of(l, i, k - 1).at >= pre->fired) {
        from = later_of(from, spike_of(l, i, k - 1));
        first = 0;
    }
    for (; k < l->spikes[i]; k++) {
        const Moment at = spike_of(l, i, k);
        if (at.at - pre->fired >= l->window)
            break;
        NAME(raise)(l, s, pre, from, at, first);
        s->w = kept(s->w, l->weight64 != NULL);
        from = at;
        first = 0;
    }
}

INLINE void NAME(catch_up)(
    const Learner *l, int64_t i, Synapse *s, const Source *pre, const Target *post, const int wide)
{
    if (post->last <= pre->since)
        return;
    if (post->previous >= pre->fired) {
        NAME(replay)(l, i, s, pre);
    } else if (post->last - pre->fired < l->window) {
        NAME(raise)(l, s, pre, later_of((Moment){pre->fired, pre->mark}, *l->begun),
                    (Moment){post->last, post->mark}, 1);
        s->w = kept(s->w, wide);
    }
}

INLINE void NAME(store)(const Learner *l, int64_t k, const Synapse *s, const int wide)
{
    if (wide)
        l->weight64[k] = l->sign * s->w;
    else
        l->weight32[k] = (float)(l->sign * s->w);
    for (int64_t n = 0; n < STATES; n++)
        l->of_synapse[n * l->synapses + k] = s->state[n];
}

INLINE Synapse NAME(load)(const Learner *l, int64_t k, int64_t i, const int wide)
{
    Synapse s = {l->sign * (wide ? l->weight64[k] : (double)l->weight32[k]), {0.0, 0.0}, i};
    for (int64_t n = 0; n < STATES; n++)
        s.state[n] = l->of_synapse[n * l->synapses + k];
    return s;
}

/* `index`: 0 for 16 bits, 1 for 32, 2 for full rows. */
INLINE void NAME(arrive_row)(
    const Learner *restrict given, Row row, int64_t now, float value, float *restrict arrived,
    const int index, const int wide)
{
    /* A copy that nothing can change stays in registers. */
    const Learner copy = *given, *const l = &copy;
    if (arrived) /* this is the clocked engine, which has tables for all decays */
        for (int n = 0; n < MOST_DECAYS; n++)
            if (l->decay[n].coarse == NULL)
                __builtin_unreachable();
    Source pre = source_of(l, row.source, now);
    const double delivered = l->sign * value;
#ifdef FINISHES
    const Moment to = {now, l->kernel->mark ? l->kernel->mark(l, now) : 0.0};
#endif
    NAME(begin)(l, &pre);
    for (int64_t k = row.begin; k < row.end; k++) {
        const int64_t i = index == 0 ? l->targets16[k]
            : index == 1 ? l->targets32[k] : k - row.source * l->targets;
        const Target post = l->target[i];
        Synapse s = NAME(load)(l, k, i, wide);
        if (index < 2 && k + AHEAD < row.end)
            __builtin_prefetch(&l->target[index ? l->targets32[k + AHEAD] : l->targets16[k + AHEAD]]);
        NAME(catch_up)(l, i, &s, &pre, &post, wide);
#ifdef FINISHES
        if (arrived) /* a matrix has been finished before it multiplied */
            NAME(drift)(l, &s, &pre, latest_event(&pre, &post, *l->begun), to);
#endif
        if (arrived)
            arrived[i] += (float)(s.w * delivered);
        NAME(lower)(l, &s, &pre, &post, latest_event(&pre, &post, *l->begun));
        NAME(store)(l, k, &s, wide);
    }
}

INLINE void NAME(settle_row)(const Learner *restrict l, Row row, const int index, const int wide)
{
    Source pre = source_of(l, row.source, l->fired[row.source]);
    if (pre.since == INT64_MAX)
        return;
    NAME(begin)(l, &pre);
    for (int64_t k = row.begin; k < row.end; k++) {
        const int64_t i = index == 0 ? l->targets16[k]
            : index == 1 ? l->targets32[k] : k - row.source * l->targets;
        const Target post = l->target[i];
        if (post.last > pre.since) {
            Synapse s = NAME(load)(l, k, i, wide);
            NAME(catch_up)(l, i, &s, &pre, &post, wide);
            NAME(store)(l, k, &s, wide);
        }
    }
}

static void NAME(arrive)(const Learner *l, Row row, int64_t now, float value, float *arrived)
{
#define CALL(index, wide) NAME(arrive_row)(l, row, now, value, NULL, index, wide);
    if (!arrived) {
        ROW_KINDS(CALL)
        return;
    }
#undef CALL
#define CALL(index, wide) NAME(arrive_row)(l, row, now, value, arrived, index, wide);
    ROW_KINDS(CALL)
#undef CALL
}

static void NAME(settle)(const Learner *l, Row row)
{
#define CALL(index, wide) NAME(settle_row)(l, row, index, wide);
    ROW_KINDS(CALL)
#undef CALL
}

#ifdef FINISHES
static void NAME(finish)(const Learner *l, Row row, int64_t until)
{
    const Moment to = {until, l->kernel->mark ? l->kernel->mark(l, until) : 0.0};
    Source pre = source_of(l, row.source, l->fired[row.source]);
    NAME(begin)(l, &pre);
    for (int64_t k = row.begin; k < row.end; k++) {
        const int64_t i = target_at(l, row.source, k);
        const Target post = l->target[i];
        Synapse s = NAME(load)(l, k, i, l->weight64 != NULL);
        NAME(drift)(l, &s, &pre, latest_event(&pre, &post, *l->begun), to);
        NAME(store)(l, k, &s, l->weight64 != NULL);
    }
}
#undef FINISHES
#endif

#undef JOIN
#undef JOIN_
#undef NAME
#undef RULE
#undef STATES
