/* Commands on stdin. */
#ifndef TIDEWIRE_CONTROL_H
#define TIDEWIRE_CONTROL_H

#include "load.h"

/* Reads and follows what has been asked for; ends the program at `quit` and end of file. */
void control_readable(struct load *load);

#endif
