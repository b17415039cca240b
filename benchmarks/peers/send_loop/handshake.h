/* The server's half of the WebSocket handshake. */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <stddef.h>

enum { ANSWER_MAX = 256 };

/* Writes the 101 for a complete, NUL-ended request; returns its length. A missing key counts as empty. */
size_t upgrade_answer(const char *request, char answer[ANSWER_MAX]);

#endif
