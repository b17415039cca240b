/* The clients of the loop: accept, upgrade, hear, send, drop. */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct connection {
    int fd;
    unsigned number; /* in order of arrival, from 1 */
    size_t index;    /* in `connections` */
    size_t got;      /* bytes of its request */
    char *request;   /* NULL once it is upgraded */
};

extern struct connection **connections;
extern size_t connection_count;

/* Accepts all that wait; `watch` is told each. Ends the program when no descriptor is left. */
void accept_all(int listener, void (*watch)(int fd, void *mark));

/* Reads what a client sent: its request first; later only a Close that begins a segment is heeded. */
void hear(struct connection *from);

/* Sends everything, waiting where the socket is full; false if the client is gone. */
bool send_whole(int fd, const void *bytes, size_t size);

/* The last connection takes the place of the one dropped. */
void drop(struct connection *gone);

#endif
