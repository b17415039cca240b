/* One connection from connect() to its end. */
#ifndef TIDEWIRE_CONNECTION_H
#define TIDEWIRE_CONNECTION_H

#include "load.h"

/* Starts a connection in a free place; `started_ns` is when the schedule wanted it. */
void connection_start(struct load *load, struct connection *connection, uint64_t started_ns);

/* The socket takes more: the upgrade request, or what it did not take before. */
void connection_writable(struct load *load, struct connection *connection);

/* The server answered 101: sends the script. */
void connection_upgraded(struct load *load, struct connection *connection);

/* What it waited for has come. With --churn the connection is closed. */
void connection_ready(struct load *load, struct connection *connection);

/* Ends after a close frame with `code`, or with ABNORMAL_CLOSURE without one. */
void connection_lost(struct load *load, struct connection *connection, unsigned code);

/* Ends before the upgrade, counted in `count`. */
void connection_refused(struct load *load, struct connection *connection, uint64_t *count);

/* Ends for a fault of the server or the machine. */
void connection_failed(struct load *load, struct connection *connection, enum error error);

/* Asks epoll for what the connection's state needs. */
void connection_watch(struct load *load, struct connection *connection);

#endif
