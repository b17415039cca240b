/* What a connection does with an answer or a frame that has arrived whole. */
#ifndef TIDEWIRE_ARRIVAL_H
#define TIDEWIRE_ARRIVAL_H

#include "load.h"

/* Both return how many bytes of `bytes` they took; 0 if what begins there is not whole, or the connection ended. */

size_t answer_arrived(struct load *load, struct connection *connection, const uint8_t *bytes, size_t length);

/* `now` is the stamp clock's; `size` becomes the length of a frame that is not whole, 0 where it is unknown. */
size_t frame_arrived(struct load *load, struct connection *connection, const uint8_t *bytes, size_t length,
                     uint64_t now, size_t *size);

#endif
