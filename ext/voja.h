/* Vector Oja; see Voja for its meaning. Of a target: its activity. Shared: the scale of each. */
#ifndef REFLEXARC_VOJA_H
#define REFLEXARC_VOJA_H

#include "steps.h"

enum { VOJA_RATE, VOJA_POST };

static void voja_step(Learner *l, int64_t now)
{
    const double *p = l->parameter, *post = l->of_target, *scale = l->shared;
    const int any = pass_targets(l, 0, (LowPass){p[VOJA_POST], p[VOJA_POST + 1]}, now);
    int taught = any && l->active && p[VOJA_RATE] != 0.0;
    for (int64_t j = 0; taught && j < l->sources; j++)
        taught = isfinite(l->input[j]) != 0;
    if (!taught)
        return;
    for (int64_t j = 0; j < l->sources; j++) {
        const int64_t row = j * l->targets;
        for (int64_t i = 0; i < l->targets; i++) {
            const double w = l->sign * strength(l, row + i);
            const double dw = p[VOJA_RATE] * post[i] * (scale[i] * l->input[j] - w);
            set_strength(l, row + i, l->sign * (w + dw));
        }
    }
    l->updates += l->synapses;
}

static const Kernel voja = {
    .abi = KERNEL_ABI,
    .per_target = 1,
    .step = voja_step,
};

#endif
