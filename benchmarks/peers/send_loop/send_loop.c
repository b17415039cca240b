/* The limit: a server that calls send() once per connection for each frame, in a plain loop.
 *
 * send_loop --port P     commands on stdin, answers on stdout: benchmarks/peers/README.md
 *
 * A client that never reads stops the loop: nothing is lost, nothing is skipped.
 */
#define _GNU_SOURCE
#include "connections.h"
#include "frame.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { COMMANDS_MAX = 4096, EVENTS = 256, FILES = 1 << 20, SECOND = 1000000000 };

static struct {
    enum { NOTHING, PACE, FLOOD, PRIVATE } kind;
    unsigned next, frames;
    size_t size;
    double interval; /* ns */
    int64_t began;
} job;

static int events_fd, listener, timer;
static char commands[COMMANDS_MAX];
static size_t commands_used;
static struct frame frame;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static void watch(int fd, void *mark) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    if (epoll_ctl(events_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void refuse(const char *why) {
    job.kind = NOTHING;
    printf("{\"event\":\"error\",\"message\":\"%s\"}\n", why);
    fflush(stdout);
}

static void send_to_all(int64_t at) {
    if (!build_frame(&frame, job.next, at, job.size, job.kind == PRIVATE)) {
        refuse("no frame has this SIZE");
        return;
    }
    for (size_t i = 0; i < connection_count;) {
        struct connection *to = connections[i];
        if (job.kind == PRIVATE)
            address_frame(&frame, to->number);
        if (to->request || send_whole(to->fd, frame.bytes, frame.size))
            i++;
        else
            drop(to);
    }
    job.next++;
}

static void wake_at(int64_t at) {
    struct itimerspec when = {.it_value = {at / SECOND, at % SECOND}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        die("timerfd_settime");
}

/* Sends at most one frame, so that events are seen between two; false when there is nothing to do now. */
static bool advance(void) {
    if (job.kind == NOTHING)
        return false;
    if (job.next == job.frames) {
        printf("{\"event\":\"done\",\"frames\":%u}\n", job.frames);
        fflush(stdout);
        job.kind = NOTHING;
        return true; /* another command may wait */
    }
    int64_t now = monotonic();
    int64_t due = job.kind == FLOOD ? now : job.began + (int64_t)(job.next * job.interval);
    if (due > now) {
        wake_at(due);
        return false;
    }
    send_to_all(due);
    return true;
}

static void obey(const char *line) {
    double rate = 1, seconds = 0;
    char rest;
    memset(&job, 0, sizeof job);
    job.began = monotonic();
    if (sscanf(line, "flood %u %zu %c", &job.frames, &job.size, &rest) == 2) {
        job.kind = FLOOD;
        return;
    }
    if (sscanf(line, "pace %lf %lf %zu %c", &rate, &seconds, &job.size, &rest) == 3)
        job.kind = PACE;
    else if (sscanf(line, "private %lf %lf %zu %c", &rate, &seconds, &job.size, &rest) == 3)
        job.kind = PRIVATE;
    if (job.kind == NOTHING || !(rate > 0) || !(seconds >= 0)) {
        refuse("commands: pace RATE SECONDS SIZE, flood COUNT SIZE, private RATE SECONDS SIZE");
        return;
    }
    job.interval = SECOND / rate;
    job.frames = (unsigned)(rate * seconds + 0.5);
}

static void read_commands(void) {
    ssize_t more = read(STDIN_FILENO, commands + commands_used, COMMANDS_MAX - 1 - commands_used);
    if (more <= 0)
        exit(0);
    commands_used += (size_t)more;
    commands[commands_used] = '\0';
}

static void take_commands(void) {
    char *end;
    while (job.kind == NOTHING && (end = strchr(commands, '\n'))) {
        *end = '\0';
        obey(commands);
        commands_used -= (size_t)(end + 1 - commands);
        memmove(commands, end + 1, commands_used + 1);
    }
}

static void serve(void) {
    struct epoll_event events[EVENTS];
    for (bool busy = false;; busy = advance()) {
        int ready = epoll_wait(events_fd, events, EVENTS, busy ? 0 : -1);
        for (int i = 0; i < ready; i++) {
            void *mark = events[i].data.ptr;
            uint64_t fired;
            if (mark == &listener)
                accept_all(listener, watch);
            else if (mark == commands)
                read_commands();
            else if (mark != &timer)
                hear(mark);
            else if (read(timer, &fired, sizeof fired) < 0)
                die("timerfd");
        }
        take_commands();
    }
}

static void listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof address;
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 4096) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("{\"event\":\"ready\",\"url\":\"ws://127.0.0.1:%d/ws\",\"pid\":%d}\n",
           ntohs(address.sin_port), getpid());
    fflush(stdout);
}

static void raise_file_limit(void) {
    struct rlimit files = {FILES, FILES};
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* only root may raise the hard one */
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || strcmp(argv[1], "--port") != 0) {
        fprintf(stderr, "usage: %s --port PORT\n", argv[0]);
        return 2;
    }
    raise_file_limit();
    if ((events_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        die("epoll_create1");
    if ((timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) < 0)
        die("timerfd_create");
    listen_on(atoi(argv[2]));
    watch(listener, &listener);
    watch(timer, &timer);
    watch(STDIN_FILENO, commands);
    serve();
}
