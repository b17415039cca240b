/* Sends on connections without ever waiting. */
#include "sending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "connection.h"
#include "failure.h"

#define MAX_UNSENT (16u << 20)

void unsent_keep(struct load *load, struct connection *connection, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    struct unsent *old = connection->unsent;
    size_t kept = old ? old->length : 0;
    if (kept + length > MAX_UNSENT) {
        connection_failed(load, connection, UNREAD_OUTPUT);
        return;
    }
    struct unsent *unsent = allocate(sizeof *unsent + kept + length);
    unsent->from = 0;
    unsent->length = kept + length;
    if (old != NULL)
        memcpy(unsent->bytes, old->bytes + old->from, kept);
    memcpy(unsent->bytes + kept, bytes, length);
    free(old);
    connection->unsent = unsent;
}

void connection_send(struct load *load, struct connection *connection, const void *bytes, size_t length)
{
    size_t sent = 0;
    if (connection->unsent == NULL) {
        ssize_t taken = send(connection->fd, bytes, length, MSG_NOSIGNAL);
        /* A broken connection is noticed, and counted, by the read that follows. */
        sent = taken >= 0 ? (size_t)taken : errno == EAGAIN ? 0 : length;
    }
    unsent_keep(load, connection, (const uint8_t *)bytes + sent, length - sent);
    if (connection->state != UNUSED)
        connection_watch(load, connection);
}

void unsent_send(struct load *load, struct connection *connection)
{
    struct unsent *unsent = connection->unsent;
    ssize_t taken = send(connection->fd, unsent->bytes + unsent->from, unsent->length, MSG_NOSIGNAL);
    if (taken < 0)
        taken = errno == EAGAIN ? 0 : (ssize_t)unsent->length;
    unsent->from += (size_t)taken;
    unsent->length -= (size_t)taken;
    if (unsent->length == 0) {
        free(unsent);
        connection->unsent = NULL;
        connection_watch(load, connection);
    }
}
