/* Log-linear histogram of durations: 64 steps per doubling, so at most 1.6 % off. */
#ifndef TIDEWIRE_HISTOGRAM_H
#define TIDEWIRE_HISTOGRAM_H

#include <stdint.h>

#define STEP_BITS 6
#define STEPS (1u << STEP_BITS)
#define TOP_BIT 40
#define BUCKETS ((TOP_BIT - STEP_BITS + 2) * STEPS)
/* 1,100 s; what is longer counts as that. */
#define LONGEST_NS ((UINT64_C(1) << (TOP_BIT + 1)) - 1)

struct histogram {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t most_ns;
    uint64_t buckets[BUCKETS];
};

void histogram_clear(struct histogram *histogram);

/* The middle of the bucket below which `share` (0..1) of what was recorded lies; 0 if nothing was. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

static inline unsigned histogram_bucket(uint64_t ns)
{
    if (ns < STEPS)
        return (unsigned)ns;
    unsigned doubling = 63u - (unsigned)__builtin_clzll(ns) - STEP_BITS;
    return (doubling + 1) * STEPS + (unsigned)((ns >> doubling) & (STEPS - 1));
}

static inline void histogram_record(struct histogram *histogram, uint64_t ns)
{
    if (ns > LONGEST_NS)
        ns = LONGEST_NS;
    histogram->count++;
    histogram->sum_ns += ns;
    if (ns > histogram->most_ns)
        histogram->most_ns = ns;
    histogram->buckets[histogram_bucket(ns)]++;
}

#endif
