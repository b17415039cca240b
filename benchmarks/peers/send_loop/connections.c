/* The clients of the loop: accept, upgrade, hear, send, drop. */
#define _GNU_SOURCE
#include "connections.h"

#include "handshake.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 4096, FIRST_ROOM = 1024, CLOSE_FRAME = 0x88 };

struct connection **connections;
size_t connection_count;

static size_t room;
static unsigned arrived;

static void require(bool fact, const char *what) {
    if (fact)
        return;
    perror(what);
    exit(1);
}

static struct connection *joined(int fd) {
    struct connection *new = calloc(1, sizeof *new);
    if (connection_count == room) {
        room = room ? 2 * room : FIRST_ROOM;
        connections = realloc(connections, room * sizeof *connections);
    }
    require(new && connections && (new->request = malloc(REQUEST_MAX)), "memory");
    new->fd = fd;
    new->number = ++arrived;
    new->index = connection_count;
    return connections[connection_count++] = new;
}

void accept_all(int listener, void (*watch)(int fd, void *mark)) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(fd, joined(fd));
    }
    require(errno == EAGAIN || errno == ECONNABORTED || errno == EINTR, "accept");
}

static void upgrade(struct connection *from) {
    char *into = from->request + from->got;
    ssize_t more = recv(from->fd, into, REQUEST_MAX - 1 - from->got, 0);
    if (more < 0 && errno == EAGAIN)
        return;
    if (more <= 0) { /* gone, or its request is too long */
        drop(from);
        return;
    }
    from->got += (size_t)more;
    from->request[from->got] = '\0';
    if (!strstr(from->request, "\r\n\r\n"))
        return;
    char answer[ANSWER_MAX];
    size_t size = upgrade_answer(from->request, answer);
    free(from->request);
    from->request = NULL;
    if (!send_whole(from->fd, answer, size))
        drop(from);
}

void hear(struct connection *from) {
    if (from->request) {
        upgrade(from);
        return;
    }
    unsigned char heard[REQUEST_MAX];
    ssize_t size = recv(from->fd, heard, sizeof heard, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size > 0 && heard[0] != CLOSE_FRAME)
        return;
    if (size > 0)
        send_whole(from->fd, "\x88\x00", 2);
    drop(from);
}

bool send_whole(int fd, const void *bytes, size_t size) {
    for (size_t sent = 0; sent < size;) {
        ssize_t more = send(fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
        if (more >= 0) {
            sent += (size_t)more;
        } else if (errno == EAGAIN) {
            struct pollfd full = {.fd = fd, .events = POLLOUT};
            poll(&full, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void drop(struct connection *gone) {
    close(gone->fd);
    connection_count--;
    connections[gone->index] = connections[connection_count];
    connections[gone->index]->index = gone->index;
    free(gone->request);
    free(gone);
}
