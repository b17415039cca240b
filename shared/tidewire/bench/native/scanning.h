/* Finds the events and stamps of a frame, about once for every distinct frame. */
#ifndef TIDEWIRE_SCANNING_H
#define TIDEWIRE_SCANNING_H

#include <stddef.h>
#include <stdint.h>

#define MAX_STAMPS 256
#define CACHED_FRAMES 4096

/* What a frame holds. Of more than MAX_STAMPS stamps, evenly spaced ones are kept. */
struct scanned {
    uint64_t fingerprint;
    uint64_t length;
    uint64_t least_stamp_ns; /* of all stamps */
    uint64_t *stamps_ns;     /* NULL where there is none, or only the least one */
    uint32_t events;
    uint16_t stamp_count;
    uint16_t stamp_capacity;
};

struct scanner {
    const char *event;
    size_t event_length;
    const char *stamp;
    size_t stamp_length;
    uint64_t stamp_unit_ns;
    struct scanned cache[CACHED_FRAMES];
};

/* An empty marker marks nothing. */
void scanner_begin(struct scanner *scanner, const char *event, const char *stamp, uint64_t stamp_unit_ns);

/* Valid until the next call. */
const struct scanned *scanner_scan(struct scanner *scanner, const uint8_t *frame, size_t length);

#endif
