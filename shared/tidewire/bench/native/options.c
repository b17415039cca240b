/* Reads the command line. */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "failure.h"

#define MAX_CONNECTIONS 1000000
#define MAX_RATE 1e6

enum which {
    URL = 1, CONNECTIONS, ADDRESSES, IN_FLIGHT, CONNECT_RATE, SCRIPT, TOKENS, SINCE, SUBPROTOCOL, HEADER,
    READY, CHURN, EVENT, STAMP, CLOCK, SLOW, CORE,
};

static const struct option OPTIONS[] = {
    {"url", required_argument, NULL, URL},
    {"connections", required_argument, NULL, CONNECTIONS},
    {"addresses", required_argument, NULL, ADDRESSES},
    {"in-flight", required_argument, NULL, IN_FLIGHT},
    {"connect-rate", required_argument, NULL, CONNECT_RATE},
    {"script", required_argument, NULL, SCRIPT},
    {"tokens", required_argument, NULL, TOKENS},
    {"since", required_argument, NULL, SINCE},
    {"subprotocol", required_argument, NULL, SUBPROTOCOL},
    {"header", required_argument, NULL, HEADER},
    {"ready", required_argument, NULL, READY},
    {"churn", no_argument, NULL, CHURN},
    {"event", required_argument, NULL, EVENT},
    {"stamp", required_argument, NULL, STAMP},
    {"clock", required_argument, NULL, CLOCK},
    {"slow", required_argument, NULL, SLOW},
    {"core", required_argument, NULL, CORE},
    {NULL, 0, NULL, 0},
};

static uint64_t whole_number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
        fail("--%s %s: must be a whole number from %llu to %llu", option, text,
             (unsigned long long)least, (unsigned long long)most);
    return value;
}

static double rate(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= MAX_RATE))
        fail("--connect-rate %s: must be connections a second, from 0 to %.0f", text, MAX_RATE);
    return value;
}

static void resolve(struct options *options, const char *url)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char *name = strndup(options->host, strcspn(options->host, ":"));
    const char *port = strchr(options->host, ':');
    uint64_t number = 80;
    if (port != NULL) {
        char *end;
        number = strtoull(port + 1, &end, 10);
        if (end == port + 1 || *end != '\0' || number < 1 || number > 65535)
            fail("--url %s: the port must be from 1 to 65535", url);
    }
    if (*name == '\0')
        fail("--url %s: has no host", url);
    int problem = getaddrinfo(name, NULL, &hints, &found);
    if (problem != 0)
        fail("--url %s: %s has no IPv4 address (%s)", url, name, gai_strerror(problem));
    memcpy(&options->server, found->ai_addr, sizeof options->server);
    options->server.sin_port = htons((uint16_t)number);
    freeaddrinfo(found);
    free(name);
}

static void parse_url(struct options *options, const char *url)
{
    static const char scheme[] = "ws://";
    if (strncmp(url, scheme, strlen(scheme)) != 0)
        fail("--url %s: must be ws://HOST:PORT/PATH (no TLS)", url);
    const char *host = url + strlen(scheme);
    size_t length = strcspn(host, "/?#");
    const char *path = host + length;
    options->host = strndup(host, length);
    options->path = allocate(strlen(path) + 2);
    sprintf(options->path, "%s%s", *path == '/' ? "" : "/", path);
    resolve(options, url);
}

static void parse_clock(struct options *options, const char *name)
{
    if (strcmp(name, "monotonic-ns") == 0) {
        options->clock = CLOCK_MONOTONIC;
        options->stamp_unit_ns = 1;
    } else if (strcmp(name, "unix-ms") == 0) {
        options->clock = CLOCK_REALTIME;
        options->stamp_unit_ns = NS_PER_MS;
    } else {
        fail("--clock %s: must be monotonic-ns or unix-ms", name);
    }
}

static void parse_slow(struct options *options, char *text)
{
    char *colon = strchr(text, ':');
    if (colon == NULL)
        fail("--slow %s: must be CONNECTIONS:BYTES_A_SECOND", text);
    *colon = '\0';
    options->slow_connections = (uint32_t)whole_number("slow", text, 0, MAX_CONNECTIONS);
    options->slow_rate = whole_number("slow", colon + 1, 0, NS_PER_SECOND);
}

static void take_header(struct options *options, const char *header)
{
    if (options->header_count == MAX_HEADERS)
        fail("--header: at most %d", MAX_HEADERS);
    if (strchr(header, ':') == NULL || strpbrk(header, "\r\n") != NULL)
        fail("--header %s: must be 'Name: value'", header);
    options->headers[options->header_count++] = header;
}

static void take(struct options *options, enum which which, char *value)
{
    switch (which) {
    case URL: parse_url(options, value); break;
    case CONNECTIONS: options->connections = (uint32_t)whole_number("connections", value, 1, MAX_CONNECTIONS); break;
    case ADDRESSES: options->addresses = (uint32_t)whole_number("addresses", value, 1, 254); break;
    case IN_FLIGHT: options->in_flight = (uint32_t)whole_number("in-flight", value, 1, MAX_CONNECTIONS); break;
    case CONNECT_RATE: options->connect_rate = rate(value); break;
    case SCRIPT: lines_load(&options->script, value); break;
    case TOKENS: lines_load(&options->tokens, value); break;
    case SINCE: lines_load(&options->since, value); break;
    case SUBPROTOCOL: options->subprotocol = value; break;
    case HEADER: take_header(options, value); break;
    case READY: options->ready = value; break;
    case CHURN: options->churn = true; break;
    case EVENT: options->event = value; break;
    case STAMP: options->stamp = value; break;
    case CLOCK: parse_clock(options, value); break;
    case SLOW: parse_slow(options, value); break;
    case CORE: options->core = (int)whole_number("core", value, 0, CPU_SETSIZE - 1); break;
    }
}

static void check(const struct options *options)
{
    if (options->host == NULL)
        fail("--url is missing: ws://HOST:PORT/PATH");
    if (options->connections == 0)
        fail("--connections is missing");
    if (options->slow_connections > options->connections)
        fail("--slow: more slow connections than --connections %u", options->connections);
    if (options->slow_connections > 0 && options->churn)
        fail("--slow and --churn: a connection that is closed when ready cannot be slow; choose one");
    if (options->addresses > 1 && ntohl(options->server.sin_addr.s_addr) >> 24 != 127)
        fail("--addresses: only a server on 127.0.0.0/8 can be reached from them");
}

void options_parse(struct options *options, int count, char **arguments)
{
    *options = (struct options){
        .addresses = 1,
        .in_flight = 128,
        .event = "\"offset\":[",
        .stamp = "\"at\":",
        .clock = CLOCK_MONOTONIC,
        .stamp_unit_ns = 1,
        .core = -1,
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(count, arguments, ":", OPTIONS, NULL)) != -1) {
        if (option == '?')
            fail("%s: there is no such option", arguments[optind - 1]);
        if (option == ':')
            fail("%s: needs a value", arguments[optind - 1]);
        take(options, (enum which)option, optarg);
    }
    if (optind < count)
        fail("%s: not an option", arguments[optind]);
    check(options);
}
