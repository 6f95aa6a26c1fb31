/* The plainest delivery of spikes: every weight of a row is added to its target. */
#include <stdint.h>

void scatter(float *restrict sum, const int64_t *restrict rows, const int32_t *restrict targets,
             const float *restrict weight, const int32_t *restrict spikes, int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        for (int64_t j = rows[spikes[k]]; j < rows[spikes[k] + 1]; j++)
            sum[targets[j]] += weight[j];
}
