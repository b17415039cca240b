/* When connections start, slow ones read, and progress is told. */
#ifndef TIDEWIRE_SCHEDULE_H
#define TIDEWIRE_SCHEDULE_H

#include "load.h"

void schedule_begin(struct load *load);

/* Starts what is due, tells when all are ready, sets the timer for what comes next. */
void schedule_advance(struct load *load);

/* The timer has run out. */
void schedule_timer(struct load *load);

#endif
