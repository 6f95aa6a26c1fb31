/* E-prop; see EProp for its meaning.
 *
 * Of a source: the low-pass of its arrivals as the membrane has it, and whether its synapses still
 * remember anything. Of a target: psi and the two learning signals of the step, its rate, and how
 * long it was held when the step began. Of a synapse: the filtered eligibility, and how far its
 * arrivals have raised the threshold, by unit of weight. Shared: the feedback by target; then, where
 * it follows the readout, the readout's weights of the step before. */
#ifndef REFLEXARC_E_PROP_H
#define REFLEXARC_E_PROP_H

#include "steps.h"

enum { EPROP_RATE, EPROP_KAPPA, EPROP_DAMPENING, EPROP_WIDTH, EPROP_C_REG, EPROP_RATE_TARGET,
       EPROP_OF_RATE, EPROP_FEEDBACK = EPROP_OF_RATE + 2, EPROP_KEPT };
enum { FIXED, SYMMETRIC, ADAPTIVE };

/* Of the largest that one spike can make of it: less counts for nothing. */
#define EPROP_FLOOR 1e-13

/* What a step has to say to the synapses of each target. */
typedef struct {
    double *psi, *signal, *regular, *rate, *held;
} Told;

INLINE Told told_to(const Learner *l)
{
    double *of = l->of_target;
    const int64_t n = l->targets;
    return (Told){of, of + n, of + 2 * n, of + 3 * n, of + 4 * n};
}

INLINE double width_of(const Learner *l, int64_t i)
{
    return l->parameter[EPROP_WIDTH] > 0.0 ? l->parameter[EPROP_WIDTH] : l->layer.height[i];
}

/* The derivative that stands in for that of the threshold, at the voltage before any reset. */
INLINE double pseudo_derivative(const Learner *l, int64_t i, int fires)
{
    const Layer *layer = &l->layer;
    const double v = fires ? layer->peak[i] : l->voltage[i];
    double threshold = layer->threshold[i];
    if (layer->raised)
        threshold += layer->raised[i] - (fires ? layer->jump[i] : 0.0);
    const double near = 1.0 - fabs(v - threshold) / width_of(l, i);
    return near > 0.0 ? l->parameter[EPROP_DAMPENING] / width_of(l, i) * near : 0.0;
}

/* Let the feedback follow what the readout has changed since the last step. */
INLINE void follow_readout(const Learner *l)
{
    double *feedback = l->shared, *before = feedback + l->targets * l->modulators;
    for (int64_t k = 0; k < l->targets * l->modulators; k++) {
        feedback[k] = l->parameter[EPROP_KEPT] * feedback[k] + (l->readout[k] - before[k]);
        before[k] = l->readout[k];
    }
}

/* Returns whether the errors of this step teach anything. */
INLINE int tell_targets(const Learner *l, int64_t now)
{
    const double *p = l->parameter;
    const double *feedback = p[EPROP_FEEDBACK] == SYMMETRIC ? l->readout : l->shared;
    const LowPass rate = {p[EPROP_OF_RATE], p[EPROP_OF_RATE + 1]};
    const Told told = told_to(l);
    int finite = 1;
    for (int64_t i = 0; i < l->targets; i++) {
        const int fires = l->target[i].last == now;
        double signal = 0.0;
        for (int64_t k = 0; k < l->modulators; k++)
            signal += feedback[i * l->modulators + k] * l->modulator[k];
        finite &= isfinite(signal) != 0;
        told.psi[i] = told.held[i] > 0.0 ? 0.0 : pseudo_derivative(l, i, fires);
        told.signal[i] = signal;
        told.rate[i] = passed(rate, told.rate[i], fires);
        told.regular[i] = p[EPROP_C_REG] * (told.rate[i] - p[EPROP_RATE_TARGET]);
        told.held[i] = l->layer.wait ? l->layer.wait[i] : 0.0;
    }
    return finite;
}

/* The eligibility of the synapses of a source, whose arrivals have moved the voltage by `trace`
 * times the gain; returns whether any of them remembers anything. */
INLINE int teach_row(const Learner *l, int64_t j, double trace, int learns)
{
    const double *p = l->parameter;
    const Layer *layer = &l->layer;
    const Told told = told_to(l);
    double *filtered = l->of_synapse, *raised = filtered + l->synapses;
    int any = 0;
    for (int64_t k = l->rows[j]; k < l->rows[j + 1]; k++) {
        const int64_t i = target_at(l, j, k);
        const double e = told.psi[i] * (layer->gain[i] * trace - raised[k]);
        filtered[k] = p[EPROP_KAPPA] * filtered[k] + (1.0 - p[EPROP_KAPPA]) * e;
        if (layer->raised)
            raised[k] = layer->relaxing[i] * (raised[k] + layer->jump[i] * e);
        if (learns) {
            const double slope = told.signal[i] * filtered[k] + told.regular[i] * e;
            set_strength(l, k, strength(l, k) - l->sign * p[EPROP_RATE] * slope);
        }
        any |= fabs(raised[k]) > EPROP_FLOOR * layer->gain[i]
            || fabs(filtered[k])
                > EPROP_FLOOR * layer->gain[i] * p[EPROP_DAMPENING] / width_of(l, i);
    }
    return any;
}

INLINE void forget_row(const Learner *l, int64_t j)
{
    for (int64_t k = l->rows[j]; k < l->rows[j + 1]; k++)
        l->of_synapse[k] = l->of_synapse[l->synapses + k] = 0.0;
}

static void e_prop_step(Learner *l, int64_t now)
{
    const double *p = l->parameter;
    double *trace = l->of_source, *awake = trace + l->sources;
    const LowPass membrane = {l->layer.decay[0], 1.0};
    if (p[EPROP_FEEDBACK] == ADAPTIVE)
        follow_readout(l);
    const int learns = tell_targets(l, now) && l->active && p[EPROP_RATE] != 0.0;
    for (int64_t j = 0; j < l->sources; j++) {
        const double before = trace[j];
        trace[j] = passed(membrane, before, l->fired[j] == now);
        const double acting = l->behind ? before : trace[j];
        if (acting == 0.0 && awake[j] == 0.0)
            continue;
        const int any = teach_row(l, j, acting, learns);
        if (!any && awake[j] != 0.0)
            forget_row(l, j);
        awake[j] = any;
        l->updates += learns ? l->rows[j + 1] - l->rows[j] : 0;
    }
}

static const Kernel e_prop = {
    .abi = KERNEL_ABI,
    .per_source = 2,
    .per_target = 5,
    .per_synapse = 2,
    .step = e_prop_step,
};

#endif
