/* The frames that every server beside the gateway sends: one text frame, one envelope, one event. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAX = 65539 }; /* what a header of four bytes can announce */

struct frame {
    unsigned char bytes[FRAME_MAX + 1];
    size_t size;
    unsigned char *receiver; /* of a private frame: where its seven digits are */
};

/* Builds frame `number`, stamped `at` (CLOCK_MONOTONIC, ns), of `size` bytes in all; false if it does not fit. */
bool build_frame(struct frame *frame, unsigned number, int64_t at, size_t size, bool private);

/* Makes a private frame the one of connection `number`. */
void address_frame(struct frame *frame, unsigned number);

#endif
