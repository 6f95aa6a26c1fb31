/* Delivery of spikes along compressed rows, each row ascending by target. */
#ifndef REFLEXARC_SYNAPSES_H
#define REFLEXARC_SYNAPSES_H

#include "wide.h"

static inline void prefetch(const void *place) { __builtin_prefetch(place); }

#define DELIVER(name, index, weight_of)                                              \
    static inline void name(                                                                \
        float *restrict arrived, const index *restrict targets,                      \
        const float *restrict weights, int64_t count, float value)                   \
    {                                                                                \
        (void)weights;                                                               \
        for (int64_t k = 0; k < count; k++)                                          \
            arrived[targets[k]] += weight_of;                                        \
    }

DELIVER(deliver_alike16, uint16_t, value)
DELIVER(deliver_alike32, int32_t, value)
DELIVER(deliver_each16, uint16_t, weights[k])
DELIVER(deliver_each32, int32_t, weights[k])
DELIVER(deliver_scaled16, uint16_t, weights[k] * value)
DELIVER(deliver_scaled32, int32_t, weights[k] * value)

#endif
