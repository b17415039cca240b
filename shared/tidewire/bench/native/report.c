/* Sums up what was counted since the mark. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "clock.h"

static const char *const GROUP_NAMES[GROUPS] = {"normal", "slow"};
static const char *const ERROR_NAMES[ERRORS] = {
    "oversized_frame", "malformed_frame", "malformed_answer", "no_port", "no_socket", "unread_output",
};

struct totals {
    uint64_t connections, frames, events, bytes, least_frames, most_frames;
    struct histogram late_most;
};

static double ms(uint64_t ns)
{
    return (double)ns / NS_PER_MS;
}

static double seconds(uint64_t ns)
{
    return (double)ns / NS_PER_SECOND;
}

static uint64_t of_timeval(struct timeval value)
{
    return (uint64_t)value.tv_sec * NS_PER_SECOND + (uint64_t)value.tv_usec * 1000;
}

void report_mark(struct load *load)
{
    struct rusage used;
    memset(&load->counters, 0, sizeof load->counters);
    for (uint32_t place = 0; place < load->options.connections; place++) {
        struct connection *connection = &load->connections[place];
        connection->frames = connection->events = connection->bytes = connection->late_most_ns = 0;
        connection->was_open = connection->state == OPEN || connection->state == READY;
    }
    getrusage(RUSAGE_SELF, &used);
    load->counters.cpu_user_ns = of_timeval(used.ru_utime);
    load->counters.cpu_system_ns = of_timeval(used.ru_stime);
    load->counters.since_ns = monotonic_ns();
}

static void print_line(void)
{
    putchar('\n');
    fflush(stdout);
}

void report_marked(const struct load *load)
{
    (void)load;
    fputs("{\"event\":\"marked\"}", stdout);
    print_line();
}

static void print_summary(const struct histogram *histogram)
{
    double mean = histogram->count ? ms(histogram->sum_ns) / (double)histogram->count : 0;
    printf("{\"count\":%" PRIu64 ",\"mean_ms\":%.6f,\"p50_ms\":%.6f,\"p90_ms\":%.6f,\"p99_ms\":%.6f,"
           "\"p999_ms\":%.6f,\"max_ms\":%.6f}",
           histogram->count, mean, ms(histogram_quantile(histogram, 0.5)), ms(histogram_quantile(histogram, 0.9)),
           ms(histogram_quantile(histogram, 0.99)), ms(histogram_quantile(histogram, 0.999)),
           ms(histogram->most_ns));
}

static void print_count(const char **separator, const char *name, uint64_t count)
{
    if (count == 0)
        return;
    printf("%s\"%s\":%" PRIu64, *separator, name, count);
    *separator = ",";
}

static void print_counts(const char **separator, const uint64_t *counts, unsigned size)
{
    char name[16];
    for (unsigned at = 0; at < size; at++) {
        snprintf(name, sizeof name, "%u", at);
        print_count(separator, name, counts[at]);
    }
}

static void print_failures(const struct counters *counters)
{
    const char *separator = "";
    fputs("\"closes\":{", stdout);
    print_counts(&separator, counters->closes, CODES);
    fputs("},\"refused\":{", stdout);
    separator = "";
    print_count(&separator, "unreachable", counters->unreachable);
    print_count(&separator, "unanswered", counters->unanswered);
    print_counts(&separator, counters->refused, HTTP_STATUSES);
    fputs("},\"errors\":{", stdout);
    separator = "";
    for (unsigned error = 0; error < ERRORS; error++)
        print_count(&separator, ERROR_NAMES[error], counters->errors[error]);
    fputs("}", stdout);
}

static void sum_up(const struct load *load, struct totals *totals)
{
    memset(totals, 0, GROUPS * sizeof *totals);
    for (uint32_t place = 0; place < load->options.connections; place++) {
        const struct connection *connection = &load->connections[place];
        struct totals *total = &totals[group_of(connection)];
        if (!connection->was_open)
            continue;
        if (total->connections++ == 0 || connection->frames < total->least_frames)
            total->least_frames = connection->frames;
        if (connection->frames > total->most_frames)
            total->most_frames = connection->frames;
        if (connection->frames > 0)
            histogram_record(&total->late_most, connection->late_most_ns);
        total->frames += connection->frames;
        total->events += connection->events;
        total->bytes += connection->bytes;
    }
}

static void print_group(const struct load *load, enum group group, const struct totals *total)
{
    const struct histogram *late = &total->late_most;
    printf("\"%s\":{\"connections\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"least_frames\":%" PRIu64 ",\"most_frames\":%" PRIu64 ",\"early_stamps\":%" PRIu64,
           GROUP_NAMES[group], total->connections, total->frames, total->events, total->bytes,
           total->least_frames, total->most_frames, load->counters.early_stamps[group]);
    fputs(",\"latency\":", stdout);
    print_summary(&load->counters.latency[group]);
    printf(",\"latency_most_by_connection\":{\"p50_ms\":%.6f,\"p99_ms\":%.6f,\"max_ms\":%.6f}}",
           ms(histogram_quantile(late, 0.5)), ms(histogram_quantile(late, 0.99)), ms(late->most_ns));
}

void report_print(const struct load *load)
{
    static struct totals totals[GROUPS];
    const struct counters *counters = &load->counters;
    const struct histogram *handshakes = &counters->handshakes;
    double passed = seconds(monotonic_ns() - counters->since_ns);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    sum_up(load, totals);
    printf("{\"event\":\"report\",\"seconds\":%.6f,\"open\":%u,\"ready\":%u,\"frames\":%" PRIu64
           ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"pings\":%" PRIu64 ",",
           passed, load->open, load->ready, totals[NORMAL].frames + totals[SLOW].frames,
           totals[NORMAL].events + totals[SLOW].events, totals[NORMAL].bytes + totals[SLOW].bytes,
           counters->pings);
    print_failures(counters);
    printf(",\"handshakes\":{\"count\":%" PRIu64 ",\"per_second\":%.3f,\"latency\":", handshakes->count,
           passed > 0 ? (double)handshakes->count / passed : 0);
    print_summary(handshakes);
    fputs("},\"groups\":{", stdout);
    print_group(load, NORMAL, &totals[NORMAL]);
    putchar(',');
    print_group(load, SLOW, &totals[SLOW]);
    printf("},\"cpu\":{\"user\":%.6f,\"system\":%.6f}}", seconds(of_timeval(used.ru_utime) - counters->cpu_user_ns),
           seconds(of_timeval(used.ru_stime) - counters->cpu_system_ns));
    print_line();
}

void report_ready(const struct load *load)
{
    printf("{\"event\":\"ready\",\"connections\":%u,\"seconds\":%.6f}", load->options.connections,
           seconds(monotonic_ns() - load->begun_ns));
    print_line();
}

void report_incomplete(const struct load *load)
{
    printf("{\"event\":\"incomplete\",\"connections\":%u,\"ready\":%llu,", load->options.connections,
           (unsigned long long)load->completed);
    print_failures(&load->counters);
    putchar('}');
    print_line();
}
