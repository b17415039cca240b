/* Starts connections by the schedule or as fast as --in-flight lets; one timer for all that waits. */
#include "schedule.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "connection.h"
#include "failure.h"
#include "receiving.h"
#include "report.h"

#define TICK_NS (50 * NS_PER_MS)
#define QUIET_NS (2 * NS_PER_SECOND)
#define NEVER UINT64_MAX

void schedule_begin(struct load *load)
{
    const struct options *options = &load->options;
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (load->timer < 0)
        fail("timerfd_create: %s", strerror(errno));
    load->connections = allocate_zeroed(options->connections, sizeof *load->connections);
    load->free_places = allocate(options->connections * sizeof *load->free_places);
    load->resting_places = allocate(options->connections * sizeof *load->resting_places);
    for (uint32_t place = options->connections; place-- > 0;) {
        load->connections[place].fd = -1;
        load->connections[place].slow = place >= options->connections - options->slow_connections;
        load->free_places[load->free_count++] = place;
    }
    load->begun_ns = load->ticked_ns = load->told_ns = monotonic_ns();
}

static uint64_t next_start_ns(const struct load *load)
{
    double rate = load->options.connect_rate;
    if (load->free_count == 0 || load->in_flight >= load->options.in_flight)
        return NEVER;
    if (rate <= 0)
        return 0;
    return load->begun_ns + (uint64_t)((double)load->started / rate * NS_PER_SECOND);
}

static void start_due(struct load *load)
{
    uint64_t due_ns, now;
    while ((due_ns = next_start_ns(load)) <= (now = monotonic_ns())) {
        uint32_t place = load->free_places[--load->free_count];
        connection_start(load, &load->connections[place], due_ns == 0 ? now : due_ns);
    }
}

static void tell_settled(struct load *load)
{
    uint32_t wanted = load->options.connections;
    if (load->told_settled)
        return;
    if (load->completed >= wanted) {
        report_ready(load);
        load->told_settled = true;
    } else if (!load->options.churn && load->settled >= wanted) {
        report_incomplete(load);
        load->told_settled = true;
    }
}

static bool needs_ticks(const struct load *load)
{
    bool paces = load->options.slow_connections > 0 && load->options.slow_rate > 0;
    return paces || load->resting_count > 0 || !load->told_settled;
}

static void set_timer(struct load *load)
{
    uint64_t next = next_start_ns(load);
    if (needs_ticks(load) && load->ticked_ns + TICK_NS < next)
        next = load->ticked_ns + TICK_NS;
    if (next == NEVER || next == load->timer_ns)
        return;
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(next / NS_PER_SECOND), .tv_nsec = (long)(next % NS_PER_SECOND)},
    };
    timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &at, NULL);
    load->timer_ns = next;
}

void schedule_advance(struct load *load)
{
    start_due(load);
    tell_settled(load);
    set_timer(load);
}

static void tell_progress(struct load *load, uint64_t now)
{
    if (load->told_settled || now - load->begun_ns < QUIET_NS || now - load->told_ns < NS_PER_SECOND)
        return;
    load->told_ns = now;
    fprintf(stderr, "tidewire-load: %llu of %u connections are ready, %llu failed\n",
            (unsigned long long)load->completed, load->options.connections,
            (unsigned long long)(load->settled - load->completed));
}

void schedule_timer(struct load *load)
{
    uint64_t expirations, now = monotonic_ns();
    (void)!read(load->timer, &expirations, sizeof expirations);
    load->timer_ns = 0;
    if (now - load->ticked_ns < TICK_NS)
        return;
    load->ticked_ns = now;
    while (load->resting_count > 0)
        load->free_places[load->free_count++] = load->resting_places[--load->resting_count];
    receive_paced(load, now);
    tell_progress(load, now);
}
