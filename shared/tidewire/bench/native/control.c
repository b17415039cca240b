/* Follows mark, report and quit. */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failure.h"
#include "report.h"

#define MAX_COMMANDS 4096

static void follow(struct load *load, const char *command)
{
    if (strcmp(command, "mark") == 0) {
        report_mark(load);
        report_marked(load);
    } else if (strcmp(command, "report") == 0) {
        report_print(load);
    } else if (strcmp(command, "quit") == 0) {
        exit(EXIT_SUCCESS);
    } else if (*command != '\0') {
        fprintf(stderr, "tidewire-load: %s: not a command (mark, report, quit)\n", command);
    }
}

void control_readable(struct load *load)
{
    static char pending[MAX_COMMANDS];
    static size_t length;
    char *newline;
    ssize_t got = read(STDIN_FILENO, pending + length, sizeof pending - length);
    if (got <= 0)
        exit(EXIT_SUCCESS);
    length += (size_t)got;
    while ((newline = memchr(pending, '\n', length)) != NULL) {
        *newline = '\0';
        follow(load, pending);
        length -= (size_t)(newline + 1 - pending);
        memmove(pending, newline + 1, length);
    }
    if (length == sizeof pending)
        fail("a command on stdin is longer than %d bytes", MAX_COMMANDS);
}
