/* Judges the answer to an upgrade; counts frames, answers pings, records closes. */
#include "arrival.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "failure.h"
#include "sending.h"

#define MAX_ANSWER 16384

static void judge_answer(struct load *load, struct connection *connection, const char *line)
{
    /* Sec-WebSocket-Accept is not checked: the gateway's own tests hold it to the standard. */
    if (strncmp(line, "HTTP/1.1 ", 9) != 0) {
        connection_failed(load, connection, MALFORMED_ANSWER);
        return;
    }
    unsigned long status = strtoul(line + 9, NULL, 10);
    if (status == 101)
        connection_upgraded(load, connection);
    else if (status < 100 || status >= HTTP_STATUSES)
        connection_failed(load, connection, MALFORMED_ANSWER);
    else
        connection_refused(load, connection, &load->counters.refused[status]);
}

size_t answer_arrived(struct load *load, struct connection *connection, const uint8_t *bytes, size_t length)
{
    const uint8_t *blank = memmem(bytes, length, "\r\n\r\n", 4);
    if (blank != NULL) {
        judge_answer(load, connection, (const char *)bytes);
        return connection->state == UNUSED ? 0 : (size_t)(blank - bytes) + 4;
    }
    if (length > MAX_ANSWER)
        connection_failed(load, connection, MALFORMED_ANSWER);
    return 0;
}

static void record_latency(struct load *load, struct connection *connection, const struct scanned *found,
                           uint64_t now)
{
    enum group group = group_of(connection);
    struct histogram *histogram = &load->counters.latency[group];
    uint64_t most = now > found->least_stamp_ns ? now - found->least_stamp_ns : 0;
    if (most > connection->late_most_ns)
        connection->late_most_ns = most;
    if (found->stamp_count == 1) {
        load->counters.early_stamps[group] += now < found->least_stamp_ns;
        histogram_record(histogram, most);
        return;
    }
    for (unsigned at = 0; at < found->stamp_count; at++) {
        uint64_t stamp = found->stamps_ns[at];
        load->counters.early_stamps[group] += now < stamp;
        histogram_record(histogram, now > stamp ? now - stamp : 0);
    }
}

static void message_arrived(struct load *load, struct connection *connection, const uint8_t *payload,
                            size_t length, uint64_t now)
{
    const struct scanned *found = scanner_scan(&load->scanner, payload, length);
    connection->events += found->events;
    if (found->stamp_count > 0)
        record_latency(load, connection, found, now);
    if (connection->state == OPEN && memmem(payload, length, load->options.ready, load->ready_length))
        connection_ready(load, connection);
}

static void fragment_arrived(struct load *load, struct connection *connection, const struct frame *frame,
                             const uint8_t *payload, uint64_t now)
{
    struct partial *message = connection->message;
    size_t length = frame->payload_length, before = message ? message->length : 0;
    if ((frame->opcode == CONTINUATION) != (message != NULL)) {
        connection_failed(load, connection, MALFORMED_FRAME);
        return;
    }
    if (before + length > MAX_FRAME) {
        connection_failed(load, connection, OVERSIZED_FRAME);
        return;
    }
    message = reallocate(message, sizeof *message + before + length);
    memcpy(message->bytes + before, payload, length);
    message->length = before + length;
    connection->message = message;
    if (frame->final) {
        connection->message = NULL;
        message_arrived(load, connection, message->bytes, message->length, now);
        free(message);
    }
}

static void control_arrived(struct load *load, struct connection *connection, const struct frame *frame,
                            const uint8_t *payload)
{
    size_t length = frame->payload_length;
    if (frame->opcode == PONG)
        return;
    text_clear(&load->scratch);
    if (frame->opcode == PING) {
        load->counters.pings++;
        frame_append(&load->scratch, PONG, payload, length);
        connection_send(load, connection, load->scratch.bytes, load->scratch.length);
        return;
    }
    frame_append(&load->scratch, CLOSE, payload, length < 2 ? 0 : 2);
    connection_send(load, connection, load->scratch.bytes, load->scratch.length);
    if (connection->state != UNUSED)
        connection_lost(load, connection, close_code(payload, length));
}

size_t frame_arrived(struct load *load, struct connection *connection, const uint8_t *bytes, size_t length,
                     uint64_t now, size_t *size)
{
    struct frame frame;
    enum parsed parsed = frame_parse(&frame, bytes, length);
    *size = 0;
    if (parsed == INCOMPLETE)
        return 0;
    if (parsed == MALFORMED || frame.payload_length > MAX_FRAME) {
        connection_failed(load, connection, parsed == MALFORMED ? MALFORMED_FRAME : OVERSIZED_FRAME);
        return 0;
    }
    *size = frame.header_length + frame.payload_length;
    if (length < *size)
        return 0;
    const uint8_t *payload = bytes + frame.header_length;
    connection->bytes += *size;
    if (frame.opcode >= CLOSE) {
        control_arrived(load, connection, &frame, payload);
    } else {
        connection->frames++;
        if (frame.opcode != CONTINUATION && frame.final && connection->message == NULL)
            message_arrived(load, connection, payload, frame.payload_length, now);
        else
            fragment_arrived(load, connection, &frame, payload, now);
    }
    return *size;
}
