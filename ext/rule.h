/* What a learning rule's kernel is made of: the header for rules of your own too.
 *
 * Time is in ticks, int64: steps of the clocked engine, a fixed fraction of a nanosecond in the
 * exact one. A synapse is looked at only when its source sends: then what its target has done since
 * is replayed, spike by spike, the synapse delivers, and learns from the arrival (Morrison, Aertsen
 * & Diesmann 2007, Neural Comput. 19). So a silent synapse costs nothing. docs/write-a-rule.md has
 * the whole of it on a page. */
#ifndef REFLEXARC_RULE_H
#define REFLEXARC_RULE_H

#include <math.h>
#include <stddef.h>

#include "wide.h"

#define KERNEL_ABI 1
#define KERNEL_CAPSULE "reflexarc.kernel"
#define MOST_DECAYS 6
#define MOST_PARAMETERS 16
/* Tables of a decay are split at this many ticks. */
#define FINE_TICKS 256

/* exp(-ticks / tau), and 0 from `window` on. */
typedef struct {
    int64_t window;
    double rate;          /* 1 / tau, per tick */
    const double *coarse; /* exp(-k FINE_TICKS / tau), or NULL: computed each time */
    const double *fine;   /* exp(-k / tau), k < FINE_TICKS */
} Decay;

INLINE double decayed(const Decay *d, int64_t ticks)
{
    if (ticks >= d->window)
        return 0.0;
    if (d->coarse == NULL)
        return exp(-d->rate * (double)ticks);
    return d->coarse[(uint64_t)ticks / FINE_TICKS] * d->fine[(uint64_t)ticks % FINE_TICKS];
}

/* What a synapse asks of its target each time. */
typedef struct {
    int64_t last;     /* tick of its latest spike, or before all time */
    int64_t previous; /* and of the one before */
    double trace;     /* as the kernel's `spiked` left it at the latest */
    double mark;      /* what `spiked` returned at the latest */
} Target;

/* A spike of a target, and the mark that `spiked` returned for it. */
typedef struct {
    int64_t at;
    double mark;
} Moment;

/* Synapses begin to end of a source: all of them, or a thread's part. */
typedef struct {
    int64_t source, begin, end;
} Row;

/* A synapse while it is looked at; `state` is what the kernel's `per_synapse` counts. */
typedef struct {
    double w;
    double state[2];
    int64_t target;
} Synapse;

/* The source of a row while it is looked at; the rule's `begin` fills the last five. */
typedef struct {
    int64_t source;
    int64_t fired; /* tick of its latest arrival before this one, or before all time */
    int64_t since; /* spikes of targets after this tick are still to be replayed */
    int64_t now;
    double trace, second, third, fourth, mark;
} Source;

/* A source, and when it last sent. */
typedef struct {
    int64_t source, fired;
} Due;

/* What a rule may see of the layer that its edge leads to; NULL what it has not or is not asked
 * for. */
typedef struct {
    const double *peak;      /* voltage of each at its latest spike, before the reset */
    const double *raised;    /* of each one's threshold: the adaptation of ALIF */
    const double *wait;      /* steps that each is still held at its reset */
    const double *decay;     /* of the voltage in a step, */
    const double *gain;      /* and what a spike along a weight of 1 adds to it */
    const double *threshold;
    const double *height;    /* from rest to threshold */
    const double *relaxing;  /* decay of `raised` in a step, */
    const double *jump;      /* and what a spike adds to it */
} Layer;

typedef struct Learner Learner;

/* A rule's code. Functions that a rule has no use for are NULL. */
typedef struct {
    int64_t abi;         /* KERNEL_ABI */
    int64_t per_source;  /* numbers kept for each source, each target, each synapse, */
    int64_t per_target;
    int64_t per_synapse; /* at most 2 */
    int64_t shared;      /* and for all together */
    /* A source's spike, `value` times as strong, reaches a row: replay, deliver (where `arrived` is
     * not NULL), learn. Threads call it side by side for parts of a row. */
    void (*arrive)(const Learner *, Row, int64_t now, float value, float *arrived);
    /* Replay only. It changes no future bit. */
    void (*settle)(const Learner *, Row);
    /* After `settle`: what time alone has done to a row since its latest spike, up to `until`. */
    void (*finish)(const Learner *, Row, int64_t until);
    /* A source's spike has arrived everywhere. */
    void (*sent)(Learner *, int64_t source, int64_t now);
    /* A target fires; returns the spike's mark. */
    double (*spiked)(Learner *, int64_t target, int64_t now);
    /* The mark of any other time. */
    double (*mark)(const Learner *, int64_t now);
    /* For a rule that is not told of its targets' spikes (`spiked` is, and its mark unused) but of
     * events of their own: what a target does in a step of the clocked engine, as its mark, or 0.
     * A rule with it, or with `step` and no `shown`, has no exact mode. */
    double (*event)(Learner *, int64_t target, int64_t now);
    /* Once a step of the clocked engine, after its spikes. */
    void (*step)(Learner *, int64_t now);
    /* For the exact engine: modulator[0] is the level from `now` on, decaying by modulator_rate.
     * Spikes before `now` have had their marks. */
    void (*shown)(Learner *, int64_t now);
    /* Likewise: time has come to `now`, and what is asked of the kernel next is about it. It is
     * called as often as someone looks, so it changes no future bit. */
    void (*reached)(Learner *, int64_t now);
} Kernel;

/* Edges that learn by one rule. Arrays by source, target and synapse have one row a number:
 * number k of source j is of_source[k * sources + j]. */
struct Learner {
    const Kernel *kernel;
    double parameter[MOST_PARAMETERS]; /* in the order of its class's `parameters` */
    Decay decay[MOST_DECAYS];
    double w_min, w_max;     /* of sign * weight, which is what a rule sees */
    double sign;             /* 1 or -1 */
    double tick_s;
    int64_t window; /* a source silent for so long has no past */
    int64_t sources, targets, synapses;
    const int64_t *rows;       /* where each source's synapses begin */
    const uint16_t *targets16; /* one of the two, or neither: every source reaches all targets */
    const int32_t *targets32;
    float *weight32;           /* one of the two */
    double *weight64;
    double *of_source, *of_target, *of_synapse, *shared;
    int64_t *fired, *since;    /* by source: see Source */
    Moment *begun;             /* when it was last let learn: nothing before it is to be finished */
    Target *target;
    int64_t *spikes;           /* of each target so far: the next goes to spikes % depth */
    Moment *history;           /* its latest spikes, [target][depth] */
    int64_t depth;             /* a power of two */
    const double *modulator;   /* values of the node that the rule names, or NULL */
    int64_t modulators;        /* how many */
    double modulator_rate;     /* 1 / tau by tick at which they decay within a step, or 0 */
    const double *voltage;     /* of the targets, or NULL */
    Layer layer;               /* more of them: see the rule's `sees` */
    const double *input;       /* values of the sources, where a rule takes graded ones, or NULL */
    const double *readout;     /* weights of the matrix that a rule names, by source, or NULL */
    int64_t behind;            /* whether what arrives acts on the targets a step later */
    int64_t active;            /* 0 while the edge is frozen */
    int64_t updates;           /* weights that `step` has changed: it counts them */
    /* The engine's own: sources to be looked after if they stay silent, in a ring. */
    Due *due;
    int64_t due_room, due_first, due_count; /* room is a power of two */
    int64_t exhausted;                      /* no memory */
};

/* --- for rows.h and kernels of a shape of their own ----------------------------------------- */

INLINE double lesser(double a, double b) { return a < b ? a : b; }
INLINE double greater(double a, double b) { return a > b ? a : b; }

/* Within the bounds; what is not a number becomes the lower one. */
INLINE double bounded(const Learner *l, double w)
{
    return lesser(greater(w, l->w_min), l->w_max);
}

INLINE int64_t target_at(const Learner *l, int64_t source, int64_t k)
{
    if (l->targets16)
        return l->targets16[k];
    return l->targets32 ? l->targets32[k] : k - source * l->targets;
}

/* Where a target's first spike after `since` stands in its history. */
INLINE int64_t first_after(const Learner *l, int64_t i, int64_t since)
{
    const int64_t end = l->spikes[i], oldest = end > l->depth ? end - l->depth : 0;
    const Moment *history = l->history + i * l->depth;
    int64_t k = end;
    while (k > oldest && history[(k - 1) & (l->depth - 1)].at > since)
        k--;
    return k;
}

INLINE Moment spike_of(const Learner *l, int64_t i, int64_t k)
{
    return l->history[i * l->depth + (k & (l->depth - 1))];
}

/* Deliver a row as it stands. */
static inline void carry(const Learner *l, Row row, float value, float *arrived)
{
    for (int64_t k = row.begin; k < row.end; k++) {
        const double w = l->weight64 ? l->weight64[k] : (double)l->weight32[k];
        arrived[target_at(l, row.source, k)] += (float)(w * value);
    }
}

#endif
