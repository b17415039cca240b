/* What the command line asks for. */
#ifndef TIDEWIRE_OPTIONS_H
#define TIDEWIRE_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "lines.h"

#define MAX_HEADERS 32

struct options {
    char *host;
    char *path;
    struct sockaddr_in server;
    uint32_t connections;
    uint32_t addresses;
    uint32_t in_flight;
    double connect_rate;
    struct lines script;
    struct lines tokens;
    struct lines since;
    const char *subprotocol;
    const char *headers[MAX_HEADERS];
    unsigned header_count;
    const char *ready;
    bool churn;
    const char *event;
    const char *stamp;
    clockid_t clock;
    uint64_t stamp_unit_ns;
    uint32_t slow_connections;
    uint64_t slow_rate;
    int core;
};

/* Ends the program with one line when an option cannot be used. */
void options_parse(struct options *options, int count, char **arguments);

#endif
