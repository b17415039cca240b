/* The state of one run: its connections, and what was counted since the last mark. */
#ifndef TIDEWIRE_LOAD_H
#define TIDEWIRE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "lines.h"
#include "options.h"
#include "scanning.h"
#include "websocket.h"

#define RECEIVE_SIZE (256u * 1024)
#define HTTP_STATUSES 600

enum state { UNUSED, CONNECTING, UPGRADING, OPEN, READY };

/* The beginning of a frame, a message or an answer whose end has not arrived. */
struct partial {
    size_t length;
    size_t size; /* of the whole, as far as it is known */
    uint8_t bytes[];
};

/* What the socket did not take yet. */
struct unsent {
    size_t from;
    size_t length;
    uint8_t bytes[];
};

/* One place of --connections; with --churn one connection after another has it. */
struct connection {
    int fd;
    uint32_t number; /* of all connections ever started: tells a late wake-up from one of its successor */
    uint8_t state;
    bool slow;
    bool was_open;     /* at some time since the mark */
    uint32_t interest; /* what epoll was asked for */
    struct partial *partial;
    struct partial *message; /* fragments before the final one */
    struct unsent *unsent;
    uint64_t started_ns; /* as scheduled */
    uint64_t paced_ns;   /* slow: until when what was read is paid for */
    uint64_t frames, events, bytes;
    uint64_t late_most_ns;
};

enum group { NORMAL, SLOW, GROUPS };
enum error { OVERSIZED_FRAME, MALFORMED_FRAME, MALFORMED_ANSWER, NO_PORT, NO_SOCKET, UNREAD_OUTPUT, ERRORS };

struct counters {
    uint64_t since_ns;
    uint64_t cpu_user_ns, cpu_system_ns;
    uint64_t pings;
    uint64_t closes[CODES];
    uint64_t refused[HTTP_STATUSES];
    uint64_t unreachable; /* connect() failed */
    uint64_t unanswered;  /* lost before the upgrade was answered */
    uint64_t errors[ERRORS];
    uint64_t early_stamps[GROUPS]; /* that lie in the future: the clocks differ */
    struct histogram handshakes;
    struct histogram latency[GROUPS];
};

struct load {
    struct options options;
    int epoll;
    int timer;
    uint64_t timer_ns; /* what it is set to; 0: to nothing */
    uint64_t begun_ns;
    uint64_t ticked_ns, told_ns;
    struct connection *connections;
    uint32_t *free_places, *resting_places; /* resting: free again at the next tick */
    uint32_t free_count, resting_count;
    uint64_t started, settled, completed; /* settled: ready once, or failed before; completed: ready once */
    uint32_t in_flight, open, ready;
    bool told_settled;
    struct text request;
    struct text scratch;
    size_t ready_length;
    struct scanner scanner;
    struct counters counters;
    uint8_t receive[RECEIVE_SIZE];
};

static inline enum group group_of(const struct connection *connection)
{
    return connection->slow ? SLOW : NORMAL;
}

#endif
