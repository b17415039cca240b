/* Parses a server's frame headers; builds masked frames and the key of an upgrade. */
#include "websocket.h"

#include <string.h>
#include <sys/random.h>

#include "clock.h"

static uint64_t random_state;

/* xorshift64*: unpredictable enough for masks and keys that protect nothing here. */
static uint64_t random_word(void)
{
    while (random_state == 0)
        if (getrandom(&random_state, sizeof random_state, 0) < 0)
            random_state = monotonic_ns();
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t big_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    while (count-- > 0)
        value = value << 8 | *bytes++;
    return value;
}

static bool is_sound(const struct frame *frame, unsigned reserved, bool masked)
{
    if (reserved != 0 || masked)
        return false;
    switch (frame->opcode) {
    case CONTINUATION:
    case TEXT:
    case BINARY:
        return true;
    case CLOSE:
    case PING:
    case PONG:
        return frame->final && frame->payload_length <= 125;
    }
    return false;
}

enum parsed frame_parse(struct frame *frame, const uint8_t *bytes, size_t length)
{
    if (length < 2)
        return INCOMPLETE;
    frame->final = bytes[0] & 0x80;
    frame->opcode = (enum opcode)(bytes[0] & 0x0f);
    frame->payload_length = bytes[1] & 0x7f;
    frame->header_length = 2;
    if (!is_sound(frame, bytes[0] & 0x70, bytes[1] & 0x80))
        return MALFORMED;
    if (frame->payload_length >= 126) {
        unsigned extended = frame->payload_length == 126 ? 2 : 8;
        frame->header_length = 2 + extended;
        if (length < frame->header_length)
            return INCOMPLETE;
        frame->payload_length = big_endian(bytes + 2, extended);
    }
    return COMPLETE_HEADER;
}

unsigned close_code(const uint8_t *payload, size_t length)
{
    if (length == 0)
        return NO_STATUS;
    uint64_t code = length < 2 ? 0 : big_endian(payload, 2);
    return code >= NORMAL_CLOSURE && code < CODES ? (unsigned)code : ABNORMAL_CLOSURE;
}

void frame_append(struct text *out, enum opcode opcode, const void *payload, size_t length)
{
    uint8_t header[14] = {(uint8_t)(0x80 | opcode)};
    unsigned header_length = 2;
    if (length < 126) {
        header[1] = (uint8_t)(0x80 | length);
    } else {
        unsigned extended = length < 65536 ? 2 : 8;
        header[1] = extended == 2 ? 0x80 | 126 : 0x80 | 127;
        for (unsigned byte = 0; byte < extended; byte++)
            header[2 + byte] = (uint8_t)(length >> 8 * (extended - 1 - byte));
        header_length += extended;
    }
    uint32_t mask = (uint32_t)(random_word() >> 32);
    memcpy(header + header_length, &mask, sizeof mask);
    text_append(out, header, header_length + sizeof mask);
    text_append(out, payload, length);
    uint8_t *masked = (uint8_t *)out->bytes + out->length - length;
    const uint8_t *key = (const uint8_t *)&mask;
    for (size_t at = 0; at < length; at++)
        masked[at] ^= key[at & 3];
}

void key_append(struct text *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t words[3] = {random_word(), random_word(), 0};
    const uint8_t *bytes = (const uint8_t *)words;
    char key[24];
    for (unsigned group = 0; group < 6; group++) {
        uint64_t bits = big_endian(bytes + 3 * group, 3);
        for (unsigned digit = 0; digit < 4; digit++)
            key[4 * group + digit] = digits[bits >> (18 - 6 * digit) & 63];
    }
    key[22] = key[23] = '='; /* the last group holds one byte of sixteen */
    text_append(out, key, sizeof key);
}
