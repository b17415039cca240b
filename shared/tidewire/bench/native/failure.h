/* How the program ends when it cannot go on: one line on stderr that names the cure. */
#ifndef TIDEWIRE_FAILURE_H
#define TIDEWIRE_FAILURE_H

#include <stddef.h>

/* Exit code: the options or the machine do not allow the run. */
#define EXIT_UNUSABLE 2

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Never return NULL. */
void *allocate(size_t size);
void *allocate_zeroed(size_t count, size_t size);
void *reallocate(void *old, size_t size);

#endif
