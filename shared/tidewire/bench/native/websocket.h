/* WebSocket frames (RFC 6455) as a client reads and writes them; no I/O. */
#ifndef TIDEWIRE_WEBSOCKET_H
#define TIDEWIRE_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lines.h"

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

#define MAX_FRAME (UINT64_C(16) << 20)

#define NORMAL_CLOSURE 1000
#define NO_STATUS 1005
#define ABNORMAL_CLOSURE 1006
#define CODES 5000

struct frame {
    enum opcode opcode;
    bool final;
    unsigned header_length;
    uint64_t payload_length;
};

enum parsed { INCOMPLETE, COMPLETE_HEADER, MALFORMED };

/* Reads a frame's header; a server's frame must be unmasked and unextended. */
enum parsed frame_parse(struct frame *frame, const uint8_t *bytes, size_t length);

/* The code of a close frame's payload; ABNORMAL_CLOSURE where it is no valid one. */
unsigned close_code(const uint8_t *payload, size_t length);

/* Appends a masked frame. */
void frame_append(struct text *out, enum opcode opcode, const void *payload, size_t length);

/* Appends a Sec-WebSocket-Key: 16 random bytes in base64. */
void key_append(struct text *out);

#endif
