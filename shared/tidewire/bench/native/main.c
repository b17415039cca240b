/* Holds many WebSocket connections to one server and counts what arrives: see --url … in options.c. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connection.h"
#include "control.h"
#include "failure.h"
#include "receiving.h"
#include "report.h"
#include "schedule.h"

#define BATCH 512
#define OTHER_FILES 32
#define CONTROL_WAKE UINT64_MAX
#define TIMER_WAKE (UINT64_MAX - 1)

static void allow_files(const struct options *options)
{
    uint32_t places = options->connections;
    if (options->churn && options->in_flight < places)
        places = options->in_flight;
    struct rlimit limit, wanted;
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t needed = (rlim_t)places + OTHER_FILES;
    if (limit.rlim_cur >= needed)
        return;
    wanted = (struct rlimit){needed, limit.rlim_max > needed ? limit.rlim_max : needed};
    if (setrlimit(RLIMIT_NOFILE, &wanted) < 0)
        fail("%u connections need %llu open files and the limit is %llu: raise it with `ulimit -n %llu`", places,
             (unsigned long long)needed, (unsigned long long)limit.rlim_max, (unsigned long long)needed);
}

static void pin(int core)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores) < 0)
        fail("--core %d: %s; choose one this process may run on", core, strerror(errno));
}

static void append_header(struct text *request, const char *name, const char *value)
{
    text_append_string(request, name);
    text_append_string(request, value);
    text_append_string(request, "\r\n");
}

/* All but the key, which differs. */
static void build_request(struct load *load)
{
    const struct options *options = &load->options;
    struct text *request = &load->request;
    text_append_string(request, "GET ");
    append_header(request, options->path, " HTTP/1.1");
    append_header(request, "Host: ", options->host);
    append_header(request, "", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13");
    if (options->subprotocol != NULL)
        append_header(request, "Sec-WebSocket-Protocol: ", options->subprotocol);
    for (unsigned at = 0; at < options->header_count; at++)
        append_header(request, "", options->headers[at]);
}

static void watch(struct load *load, int fd, uint64_t wake)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = wake};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("stdin must be a pipe or a terminal: commands are read from it");
}

static void begin(struct load *load)
{
    signal(SIGPIPE, SIG_IGN);
    allow_files(&load->options);
    if (load->options.core >= 0)
        pin(load->options.core);
    if (load->options.ready != NULL)
        load->ready_length = strlen(load->options.ready);
    scanner_begin(&load->scanner, load->options.event, load->options.stamp, load->options.stamp_unit_ns);
    build_request(load);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0)
        fail("epoll_create1: %s", strerror(errno));
    schedule_begin(load);
    watch(load, STDIN_FILENO, CONTROL_WAKE);
    watch(load, load->timer, TIMER_WAKE);
    report_mark(load);
}

static void connection_woken(struct load *load, uint64_t wake, uint32_t events)
{
    struct connection *connection = &load->connections[wake >> 32];
    if (connection->state == UNUSED || connection->number != (uint32_t)wake)
        return;
    if (connection->state == CONNECTING || (events & EPOLLOUT)) {
        connection_writable(load, connection);
        if (connection->state <= CONNECTING || !(events & EPOLLIN))
            return;
    }
    if (connection->slow && connection->state == READY)
        receive_rest(load, connection);
    else
        receive(load, connection, RECEIVE_SIZE);
}

static void run(struct load *load)
{
    static struct epoll_event woken[BATCH];
    for (;;) {
        schedule_advance(load);
        int count = epoll_wait(load->epoll, woken, BATCH, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait: %s", strerror(errno));
        for (int at = 0; at < count; at++) {
            uint64_t wake = woken[at].data.u64;
            if (wake == CONTROL_WAKE)
                control_readable(load);
            else if (wake == TIMER_WAKE)
                schedule_timer(load);
            else
                connection_woken(load, wake, woken[at].events);
        }
    }
}

int main(int count, char **arguments)
{
    static struct load load;
    options_parse(&load.options, count, arguments);
    begin(&load);
    run(&load);
}
