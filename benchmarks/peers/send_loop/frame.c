/* The frames that every server beside the gateway sends: one text frame, one envelope, one event. */
#include "frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HEADER = 4, PART_MAX = 256, EXTENDED_LENGTH_FROM = 126, RECEIVER_DIGITS = 7 };

static const char RECEIVER[] = "\"to\":\"0000000\",";

bool build_frame(struct frame *frame, unsigned number, int64_t at, size_t size, bool private) {
    char head[PART_MAX], tail[PART_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t unix_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    size_t head_size = (size_t)snprintf(
        head, sizeof head,
        "{\"v\":1,\"type\":\"updates\",\"payload\":{\"sub\":1,\"position\":{\"epoch\":\"bench\","
        "\"offsets\":{\"0\":%u}},\"events\":[{\"key\":\"k\",\"data\":{\"at\":%" PRId64 ",%s\"pad\":\"",
        number, at, private ? RECEIVER : "");
    size_t tail_size = (size_t)snprintf(
        tail, sizeof tail, "\"},\"ts\":%" PRId64 ",\"offset\":[0,%u]}],\"coalesced\":0}}", unix_ms,
        number);
    size_t least = HEADER + head_size + tail_size;
    if (size < least || size > FRAME_MAX || size < HEADER + EXTENDED_LENGTH_FROM)
        return false;
    unsigned char *to = frame->bytes;
    *to++ = 0x81;
    *to++ = EXTENDED_LENGTH_FROM;
    *to++ = (unsigned char)((size - HEADER) >> 8);
    *to++ = (unsigned char)(size - HEADER);
    memcpy(to, head, head_size);
    to += head_size;
    frame->receiver = private ? to - sizeof "0000000\",\"pad\":\"" + 1 : NULL;
    memset(to, 'x', size - least);
    memcpy(to + (size - least), tail, tail_size);
    frame->size = size;
    return true;
}

void address_frame(struct frame *frame, unsigned number) {
    for (int i = RECEIVER_DIGITS - 1; i >= 0; i--, number /= 10)
        frame->receiver[i] = (unsigned char)('0' + number % 10);
}
