/* What arrives on a connection. */
#ifndef TIDEWIRE_RECEIVING_H
#define TIDEWIRE_RECEIVING_H

#include "load.h"

/* One read() of at most `limit` bytes. Returns how many came; 0 when none did or the connection ended. */
size_t receive(struct load *load, struct connection *connection, size_t limit);

/* Slow connections: reads what they may by now. */
void receive_paced(struct load *load, uint64_t now);

/* A slow connection whose peer is gone: reads the rest at once. */
void receive_rest(struct load *load, struct connection *connection);

#endif
