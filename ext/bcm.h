/* The rule of Bienenstock, Cooper & Munro; see Bcm for its meaning.
 *
 * Of a source: its activity. Of a target: its activity, and theta. */
#ifndef REFLEXARC_BCM_H
#define REFLEXARC_BCM_H

#include "steps.h"

enum { BCM_RATE, BCM_PRE, BCM_POST = BCM_PRE + 2, BCM_THETA = BCM_POST + 2 };

static void bcm_step(Learner *l, int64_t now)
{
    const double *p = l->parameter, *post = l->of_target, *theta = post + l->targets;
    pass_sources(l, 0, (LowPass){p[BCM_PRE], p[BCM_PRE + 1]}, now);
    const int any = pass_targets(l, 0, (LowPass){p[BCM_POST], p[BCM_POST + 1]}, now);
    pass_targets(l, 1, (LowPass){p[BCM_THETA], p[BCM_THETA + 1]}, now);
    if (!any || !l->active || p[BCM_RATE] == 0.0)
        return;
    for (int64_t j = 0; j < l->sources; j++) {
        const double scale = p[BCM_RATE] * l->of_source[j];
        if (scale == 0.0)
            continue;
        l->updates += l->rows[j + 1] - l->rows[j];
        for (int64_t k = l->rows[j]; k < l->rows[j + 1]; k++) {
            const int64_t i = target_at(l, j, k);
            set_strength(l, k, strength(l, k) + scale * (post[i] * (post[i] - theta[i])));
        }
    }
}

static const Kernel bcm = {
    .abi = KERNEL_ABI,
    .per_source = 1,
    .per_target = 2,
    .step = bcm_step,
};

#endif
