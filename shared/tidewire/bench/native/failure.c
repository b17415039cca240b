/* Ends the program with one line on stderr. */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tidewire-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_UNUSABLE);
}

static void *checked(void *memory)
{
    if (memory == NULL)
        fail("out of memory: ask for fewer --connections");
    return memory;
}

void *allocate(size_t size)
{
    return checked(malloc(size));
}

void *allocate_zeroed(size_t count, size_t size)
{
    return checked(calloc(count, size));
}

void *reallocate(void *old, size_t size)
{
    return checked(realloc(old, size));
}
