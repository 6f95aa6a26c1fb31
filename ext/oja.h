/* Oja's rule; see Oja for its meaning. Of a source and of a target: their activity. */
#ifndef REFLEXARC_OJA_H
#define REFLEXARC_OJA_H

#include "steps.h"

enum { OJA_RATE, OJA_BETA, OJA_PRE, OJA_POST = OJA_PRE + 2 };

static void oja_step(Learner *l, int64_t now)
{
    const double *p = l->parameter, *post = l->of_target;
    pass_sources(l, 0, (LowPass){p[OJA_PRE], p[OJA_PRE + 1]}, now);
    const int any = pass_targets(l, 0, (LowPass){p[OJA_POST], p[OJA_POST + 1]}, now);
    if (!any || !l->active || p[OJA_RATE] == 0.0)
        return;
    for (int64_t j = 0; j < l->sources; j++) {
        const double pre = l->of_source[j];
        l->updates += l->rows[j + 1] - l->rows[j];
        for (int64_t k = l->rows[j]; k < l->rows[j + 1]; k++) {
            const double y = post[target_at(l, j, k)], w = strength(l, k);
            set_strength(l, k, w + p[OJA_RATE] * y * (pre - p[OJA_BETA] * y * w));
        }
    }
}

static const Kernel oja = {
    .abi = KERNEL_ABI,
    .per_source = 1,
    .per_target = 1,
    .step = oja_step,
};

#endif
