/* Reads text files by lines and fills in what differs from connection to connection. */
#include "lines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"

static char *whole_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail("cannot read %s: %s", path, strerror(errno));
    size_t capacity = 65536;
    char *content = allocate(capacity);
    *length = 0;
    size_t got;
    while ((got = fread(content + *length, 1, capacity - *length, file)) > 0) {
        *length += got;
        if (*length == capacity)
            content = reallocate(content, capacity *= 2);
    }
    if (ferror(file))
        fail("cannot read %s: %s", path, strerror(errno));
    fclose(file);
    return content;
}

void lines_load(struct lines *lines, const char *path)
{
    size_t length;
    char *content = whole_file(path, &length);
    const char *end = content + length;
    size_t capacity = 0;
    lines->count = 0;
    for (const char *from = content; from < end;) {
        const char *newline = memchr(from, '\n', (size_t)(end - from));
        const char *to = newline ? newline : end;
        const char *next = newline ? newline + 1 : end;
        if (to > from && to[-1] == '\r')
            to--;
        if (to > from) {
            if (lines->count == capacity) {
                capacity = capacity ? 2 * capacity : 64;
                lines->line = reallocate(lines->line, capacity * sizeof *lines->line);
            }
            lines->line[lines->count++] = (struct line){from, (size_t)(to - from)};
        }
        from = next;
    }
    if (lines->count == 0)
        fail("%s has no lines", path);
}

void text_clear(struct text *text)
{
    text->length = 0;
}

void text_append(struct text *text, const void *bytes, size_t length)
{
    if (text->length + length > text->capacity) {
        text->capacity = 2 * (text->length + length) + 256;
        text->bytes = reallocate(text->bytes, text->capacity);
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

void text_append_string(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

static size_t append_field(struct text *text, const char *at, size_t left, const struct filling *filling)
{
    static const char number[] = "{n}", token[] = "{token}", since[] = "{since}";
    if (left >= strlen(number) && memcmp(at, number, strlen(number)) == 0) {
        char digits[16];
        int length = snprintf(digits, sizeof digits, "%u", filling->number);
        text_append(text, digits, (size_t)length);
        return strlen(number);
    }
    const struct lines *lines = NULL;
    size_t taken = 0;
    if (left >= strlen(token) && memcmp(at, token, strlen(token)) == 0) {
        lines = filling->tokens;
        taken = strlen(token);
    } else if (left >= strlen(since) && memcmp(at, since, strlen(since)) == 0) {
        lines = filling->since;
        taken = strlen(since);
    }
    if (lines == NULL || lines->count == 0)
        return 0;
    const struct line *line = &lines->line[filling->number % lines->count];
    text_append(text, line->text, line->length);
    return taken;
}

void text_append_filled(struct text *text, const char *line, size_t length, const struct filling *filling)
{
    const char *from = line, *end = line + length;
    while (from < end) {
        const char *brace = memchr(from, '{', (size_t)(end - from));
        if (brace == NULL)
            brace = end;
        text_append(text, from, (size_t)(brace - from));
        from = brace;
        if (from == end)
            break;
        size_t taken = append_field(text, from, (size_t)(end - from), filling);
        if (taken == 0) {
            text_append(text, "{", 1);
            taken = 1;
        }
        from += taken;
    }
}
