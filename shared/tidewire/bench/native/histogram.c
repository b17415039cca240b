/* Reads quantiles out of a histogram. */
#include "histogram.h"

#include <string.h>

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < STEPS)
        return bucket;
    unsigned doubling = bucket / STEPS - 1;
    uint64_t from = (uint64_t)(STEPS + bucket % STEPS) << doubling;
    return from + ((UINT64_C(1) << doubling) >> 1);
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count + 0.5);
    uint64_t passed = 0;
    if (wanted == 0)
        wanted = 1;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        passed += histogram->buckets[bucket];
        if (passed >= wanted) {
            uint64_t middle = middle_of(bucket);
            return middle < histogram->most_ns ? middle : histogram->most_ns;
        }
    }
    return histogram->most_ns;
}
