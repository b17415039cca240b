/* The lines of a text file, and lines with {n}, {token} and {since} filled in. */
#ifndef TIDEWIRE_LINES_H
#define TIDEWIRE_LINES_H

#include <stddef.h>
#include <stdint.h>

struct line {
    const char *text;
    size_t length;
};

struct lines {
    struct line *line;
    size_t count;
};

struct filling {
    uint32_t number;
    const struct lines *tokens;
    const struct lines *since;
};

/* Empty lines are left out. Ends the program when the file cannot be read. */
void lines_load(struct lines *lines, const char *path);

/* A buffer that grows and is used again. */
struct text {
    char *bytes;
    size_t length;
    size_t capacity;
};

void text_clear(struct text *text);
void text_append(struct text *text, const void *bytes, size_t length);
void text_append_string(struct text *text, const char *string);

/* Appends `length` bytes of `line`; {token} and {since} are line (number mod count) of their file. */
void text_append_filled(struct text *text, const char *line, size_t length, const struct filling *filling);

#endif
