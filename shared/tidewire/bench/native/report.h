/* What is told on stdout, one JSON object a line. */
#ifndef TIDEWIRE_REPORT_H
#define TIDEWIRE_REPORT_H

#include "load.h"

/* Counts from here on. */
void report_mark(struct load *load);
void report_marked(const struct load *load);

/* Everything counted since the last mark. */
void report_print(const struct load *load);

/* All connections are ready; with --churn, as many handshakes are complete. */
void report_ready(const struct load *load);

/* Every connection was tried, and not all became ready. */
void report_incomplete(const struct load *load);

#endif
