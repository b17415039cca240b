/* Opens connections, takes them to readiness, and counts how they end. */
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "failure.h"
#include "sending.h"

/* Else the kernel hides for megabytes that nobody reads; but it must hold what is read between two ticks. */
#define SLOW_RECEIVE_BUFFER 4096
#define SLOW_BUFFERS_A_SECOND 10


#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static bool is_upgraded(const struct connection *connection)
{
    return connection->state == OPEN || connection->state == READY;
}

static struct filling filling_of(const struct load *load, const struct connection *connection)
{
    return (struct filling){connection->number, &load->options.tokens, &load->options.since};
}

void connection_watch(struct load *load, struct connection *connection)
{
    bool paced = connection->slow && connection->state == READY;
    uint32_t wanted = paced ? EPOLLRDHUP : EPOLLIN;
    if (connection->unsent != NULL || connection->state == CONNECTING)
        wanted |= EPOLLOUT;
    if (wanted == connection->interest)
        return;
    uint64_t place = (uint64_t)(connection - load->connections);
    struct epoll_event event = {.events = wanted, .data.u64 = place << 32 | connection->number};
    int change = connection->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(load->epoll, change, connection->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
    connection->interest = wanted;
}

/* Counts the first verdict on a connection: ready, or over before. */
static void settle(struct load *load)
{
    load->in_flight--;
    load->settled++;
}

static void end(struct load *load, struct connection *connection, bool rests)
{
    uint32_t place = (uint32_t)(connection - load->connections);
    if (connection->state == READY)
        load->ready--;
    else
        settle(load);
    if (is_upgraded(connection))
        load->open--;
    close(connection->fd);
    free(connection->partial);
    free(connection->message);
    free(connection->unsent);
    connection->partial = connection->message = NULL;
    connection->unsent = NULL;
    connection->interest = 0;
    connection->fd = -1;
    connection->state = UNUSED;
    if (!load->options.churn)
        return;
    if (rests)
        load->resting_places[load->resting_count++] = place;
    else
        load->free_places[load->free_count++] = place;
}

void connection_lost(struct load *load, struct connection *connection, unsigned code)
{
    load->counters.closes[code]++;
    end(load, connection, true);
}

void connection_refused(struct load *load, struct connection *connection, uint64_t *count)
{
    (*count)++;
    end(load, connection, true);
}

void connection_failed(struct load *load, struct connection *connection, enum error error)
{
    load->counters.errors[error]++;
    end(load, connection, true);
}

static void bind_address(const struct load *load, const struct connection *connection)
{
    const int yes = 1;
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + connection->number % load->options.addresses),
    };
    /* The port is chosen by connect(), which may use one again that leads to another server. */
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(connection->fd, (struct sockaddr *)&from, sizeof from) < 0)
        fail("cannot bind to 127.0.0.%u: %s", 1 + connection->number % load->options.addresses,
             strerror(errno));
}

static void narrow(const struct load *load, const struct connection *connection)
{
    int size = (int)(load->options.slow_rate / SLOW_BUFFERS_A_SECOND);
    if (size < SLOW_RECEIVE_BUFFER)
        size = SLOW_RECEIVE_BUFFER;
    setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static void connect_failed(struct load *load, struct connection *connection, int problem)
{
    if (problem == EADDRNOTAVAIL)
        connection_failed(load, connection, NO_PORT);
    else
        connection_refused(load, connection, &load->counters.unreachable);
}

/* On loopback the connection stands when connect() returns, though that says EINPROGRESS: trying spares a wake-up. */
static void send_request(struct load *load, struct connection *connection)
{
    struct filling filling = filling_of(load, connection);
    struct text *out = &load->scratch;
    text_clear(out);
    text_append_filled(out, load->request.bytes, load->request.length, &filling);
    text_append_string(out, "Sec-WebSocket-Key: ");
    key_append(out);
    text_append_string(out, "\r\n\r\n");
    ssize_t taken = send(connection->fd, out->bytes, out->length, MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN) {
        connect_failed(load, connection, errno);
        return;
    }
    if (taken >= 0) {
        connection->state = UPGRADING;
        unsent_keep(load, connection, out->bytes + taken, out->length - (size_t)taken);
    }
    if (connection->state != UNUSED)
        connection_watch(load, connection);
}

void connection_start(struct load *load, struct connection *connection, uint64_t started_ns)
{
    const struct sockaddr *server = (const struct sockaddr *)&load->options.server;
    const int yes = 1;
    connection->number = (uint32_t)load->started++;
    connection->started_ns = started_ns;
    connection->state = CONNECTING;
    load->in_flight++;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) {
        connection_failed(load, connection, NO_SOCKET);
        return;
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connection->slow)
        narrow(load, connection);
    if (load->options.addresses > 1)
        bind_address(load, connection);
    if (connect(connection->fd, server, sizeof load->options.server) == 0 || errno == EINPROGRESS)
        send_request(load, connection);
    else
        connect_failed(load, connection, errno);
}

void connection_writable(struct load *load, struct connection *connection)
{
    if (connection->state == CONNECTING)
        send_request(load, connection);
    else if (connection->unsent != NULL)
        unsent_send(load, connection);
}

void connection_upgraded(struct load *load, struct connection *connection)
{
    const struct lines *script = &load->options.script;
    struct filling filling = filling_of(load, connection);
    struct text *line = &load->scratch, frames = {0};
    connection->state = OPEN;
    connection->was_open = true;
    load->open++;
    for (size_t at = 0; at < script->count; at++) {
        text_clear(line);
        text_append_filled(line, script->line[at].text, script->line[at].length, &filling);
        frame_append(&frames, TEXT, line->bytes, line->length);
    }
    if (frames.length > 0)
        connection_send(load, connection, frames.bytes, frames.length);
    free(frames.bytes);
    if (load->options.ready == NULL && connection->state == OPEN)
        connection_ready(load, connection);
}

static void say_goodbye(struct load *load, struct connection *connection)
{
    static const uint8_t normal[] = {NORMAL_CLOSURE >> 8, NORMAL_CLOSURE & 0xff};
    /* Without TIME_WAIT, which would use up the ports. */
    const struct linger abort_connection = {.l_onoff = 1, .l_linger = 0};
    text_clear(&load->scratch);
    frame_append(&load->scratch, CLOSE, normal, sizeof normal);
    (void)!send(connection->fd, load->scratch.bytes, load->scratch.length, MSG_NOSIGNAL);
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &abort_connection, sizeof abort_connection);
}

void connection_ready(struct load *load, struct connection *connection)
{
    uint64_t now = monotonic_ns();
    histogram_record(&load->counters.handshakes, now - connection->started_ns);
    connection->state = READY;
    connection->paced_ns = now;
    load->ready++;
    load->completed++;
    settle(load);
    if (load->options.churn) {
        say_goodbye(load, connection);
        end(load, connection, false);
    } else {
        connection_watch(load, connection);
    }
}
