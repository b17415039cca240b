/* What is sent on a connection, and what its socket did not take yet. */
#ifndef TIDEWIRE_SENDING_H
#define TIDEWIRE_SENDING_H

#include "load.h"

/* Sends, or keeps what the socket does not take; a connection that lets too much wait is ended. */
void connection_send(struct load *load, struct connection *connection, const void *bytes, size_t length);

/* Keeps it for when the socket takes more. */
void unsent_keep(struct load *load, struct connection *connection, const void *bytes, size_t length);

/* The socket takes more. */
void unsent_send(struct load *load, struct connection *connection);

#endif
