/* Reads bytes, cuts them into frames in place and keeps only what is not whole. */
#include "receiving.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "arrival.h"
#include "clock.h"
#include "connection.h"
#include "failure.h"

/* Shorter beginnings are copied in front of the next read; longer frames are read into a buffer of their own,
 * as copying them again and again would cost the square of their length. */
#define COPIED_SIZE (RECEIVE_SIZE / 4)

static void keep(struct connection *connection, const uint8_t *bytes, size_t length, size_t size)
{
    struct partial *partial;
    bool is_own = size > COPIED_SIZE;
    if (length == 0)
        return;
    partial = allocate(sizeof *partial + (is_own ? size : length));
    partial->length = length;
    partial->size = size;
    memcpy(partial->bytes, bytes, length);
    connection->partial = partial;
}

/* Takes all that is whole in `bytes` and keeps the rest. */
static void take(struct load *load, struct connection *connection, const uint8_t *bytes, size_t length)
{
    uint64_t now = clock_ns(load->options.clock);
    size_t size = 0, taken = 0;
    if (connection->state == UPGRADING) {
        taken = answer_arrived(load, connection, bytes, length);
        if (taken == 0 && connection->state == UPGRADING) {
            keep(connection, bytes, length, 0);
            return;
        }
    }
    while (connection->state != UNUSED) {
        size_t frame = frame_arrived(load, connection, bytes + taken, length - taken, now, &size);
        if (frame == 0)
            break;
        taken += frame;
    }
    if (connection->state != UNUSED)
        keep(connection, bytes + taken, length - taken, size);
}

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

static size_t ended(struct load *load, struct connection *connection, ssize_t got)
{
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (connection->state == UPGRADING || connection->state == CONNECTING)
        connection_refused(load, connection, &load->counters.unanswered);
    else
        connection_lost(load, connection, ABNORMAL_CLOSURE);
    return 0;
}

static size_t receive_long(struct load *load, struct connection *connection, size_t limit)
{
    struct partial *partial = connection->partial;
    size_t missing = partial->size - partial->length;
    ssize_t got = recv(connection->fd, partial->bytes + partial->length, least(missing, limit), 0);
    if (got <= 0)
        return ended(load, connection, got);
    partial->length += (size_t)got;
    if (partial->length == partial->size) {
        connection->partial = NULL;
        take(load, connection, partial->bytes, partial->length);
        free(partial);
    }
    return (size_t)got;
}

size_t receive(struct load *load, struct connection *connection, size_t limit)
{
    struct partial *partial = connection->partial;
    size_t before = 0;
    if (partial != NULL && partial->size > COPIED_SIZE)
        return receive_long(load, connection, limit);
    if (partial != NULL) {
        before = partial->length;
        memcpy(load->receive, partial->bytes, before);
    }
    ssize_t got = recv(connection->fd, load->receive + before, least(RECEIVE_SIZE - before, limit), 0);
    if (got <= 0)
        return ended(load, connection, got);
    free(partial);
    connection->partial = NULL;
    take(load, connection, load->receive, before + (size_t)got);
    return (size_t)got;
}

void receive_paced(struct load *load, uint64_t now)
{
    uint64_t rate = load->options.slow_rate;
    uint32_t first = load->options.connections - load->options.slow_connections;
    if (rate == 0)
        return;
    for (uint32_t place = first; place < load->options.connections; place++) {
        struct connection *connection = &load->connections[place];
        if (connection->state != READY)
            continue;
        /* What it did not read for want of data it does not make up for later. */
        if (now > connection->paced_ns + NS_PER_SECOND)
            connection->paced_ns = now - NS_PER_SECOND;
        if (now < connection->paced_ns)
            continue;
        size_t allowed = (size_t)((double)(now - connection->paced_ns) / NS_PER_SECOND * (double)rate);
        if (allowed > 0)
            connection->paced_ns += receive(load, connection, allowed) * NS_PER_SECOND / rate;
    }
}

void receive_rest(struct load *load, struct connection *connection)
{
    while (connection->state != UNUSED && receive(load, connection, RECEIVE_SIZE) > 0)
        continue;
}
