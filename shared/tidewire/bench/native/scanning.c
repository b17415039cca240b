/* Scans frames for markers and keeps what it found by fingerprint: one feed sends all the same bytes. */
#include "scanning.h"

#include <stdbool.h>
#include <string.h>

#include "failure.h"

/* Up to so many bytes all count for the fingerprint; of a longer frame as many at its beginning and end,
 * which hold position and last offset. */
#define WHOLE_LENGTH 1024
#define SAMPLE_LENGTH 512
#define MAX_DIGITS 19 /* what a uint64_t always holds */

void scanner_begin(struct scanner *scanner, const char *event, const char *stamp, uint64_t stamp_unit_ns)
{
    memset(scanner, 0, sizeof *scanner);
    scanner->event = event;
    scanner->event_length = strlen(event);
    scanner->stamp = stamp;
    scanner->stamp_length = strlen(stamp);
    scanner->stamp_unit_ns = stamp_unit_ns;
}

static inline uint64_t word(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* The halves of a 128-bit product, folded: as in wyhash. */
static inline uint64_t mixed(uint64_t one, uint64_t other)
{
    unsigned __int128 product = (unsigned __int128)one * other;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t fingerprint_of(const uint8_t *bytes, size_t length, uint64_t seed)
{
    const uint64_t odd = UINT64_C(0xa0761d6478bd642f), even = UINT64_C(0xe7037ed1a0b428db);
    uint64_t left = seed ^ odd, right = seed ^ even;
    if (length < 32) {
        uint8_t padded[32] = {0};
        if (length > 0)
            memcpy(padded, bytes, length);
        left = mixed(word(padded) ^ left, word(padded + 8) ^ even);
        right = mixed(word(padded + 16) ^ right, word(padded + 24) ^ odd);
        return mixed(left, right ^ length);
    }
    const uint8_t *last = bytes + length - 32;
    for (const uint8_t *at = bytes; at < last; at += 32) {
        left = mixed(word(at) ^ left, word(at + 8) ^ even);
        right = mixed(word(at + 16) ^ right, word(at + 24) ^ odd);
    }
    left = mixed(word(last) ^ left, word(last + 8) ^ even);
    right = mixed(word(last + 16) ^ right, word(last + 24) ^ odd);
    return mixed(left, right ^ length);
}

static uint64_t fingerprint(const uint8_t *frame, size_t length)
{
    if (length <= WHOLE_LENGTH)
        return fingerprint_of(frame, length, length);
    uint64_t beginning = fingerprint_of(frame, SAMPLE_LENGTH, length);
    return fingerprint_of(frame + length - SAMPLE_LENGTH, SAMPLE_LENGTH, beginning);
}

static uint32_t count_events(const struct scanner *scanner, const uint8_t *frame, size_t length)
{
    const uint8_t *at = frame, *end = frame + length;
    uint32_t events = 0;
    if (scanner->event_length == 0)
        return 0;
    while ((at = memmem(at, (size_t)(end - at), scanner->event, scanner->event_length)) != NULL) {
        events++;
        at += scanner->event_length;
    }
    return events;
}

static bool read_stamp(const uint8_t **at, const uint8_t *end, uint64_t *stamp)
{
    const uint8_t *from = *at;
    uint64_t value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - from < MAX_DIGITS)
        value = 10 * value + (uint64_t)(*(*at)++ - '0');
    *stamp = value;
    return *at > from;
}

static void keep_stamp(struct scanned *found, uint64_t stamp)
{
    if (found->stamp_count == found->stamp_capacity) {
        found->stamp_capacity = found->stamp_capacity ? MAX_STAMPS : 4;
        found->stamps_ns =
            reallocate(found->stamps_ns, found->stamp_capacity * sizeof *found->stamps_ns);
    }
    found->stamps_ns[found->stamp_count++] = stamp;
}

/* Where they become too many, every second one is let go and only every second one of the rest taken. */
static void thin_out(struct scanned *found)
{
    found->stamp_count = MAX_STAMPS / 2;
    for (unsigned kept = 0; kept < MAX_STAMPS / 2; kept++)
        found->stamps_ns[kept] = found->stamps_ns[2 * kept];
}

static void find_stamps(const struct scanner *scanner, const uint8_t *frame, size_t length,
                        struct scanned *found)
{
    const uint8_t *at = frame, *end = frame + length;
    uint64_t stamp, seen = 0, stride = 1;
    found->stamp_count = 0;
    found->least_stamp_ns = UINT64_MAX;
    if (scanner->stamp_length == 0)
        return;
    while ((at = memmem(at, (size_t)(end - at), scanner->stamp, scanner->stamp_length)) != NULL) {
        at += scanner->stamp_length;
        if (!read_stamp(&at, end, &stamp))
            continue;
        stamp *= scanner->stamp_unit_ns;
        if (stamp < found->least_stamp_ns)
            found->least_stamp_ns = stamp;
        if (seen++ % stride != 0)
            continue;
        if (found->stamp_count == MAX_STAMPS) {
            thin_out(found);
            stride *= 2;
            if ((seen - 1) % stride != 0)
                continue;
        }
        keep_stamp(found, stamp);
    }
}

const struct scanned *scanner_scan(struct scanner *scanner, const uint8_t *frame, size_t length)
{
    uint64_t print = fingerprint(frame, length);
    struct scanned *found = &scanner->cache[print % CACHED_FRAMES];
    /* An unused place has fingerprint and length 0: that is an empty frame, which holds nothing either. */
    if (found->fingerprint == print && found->length == length)
        return found;
    found->fingerprint = print;
    found->length = length;
    found->events = count_events(scanner, frame, length);
    find_stamps(scanner, frame, length, found);
    return found;
}
