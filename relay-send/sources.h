#ifndef SOURCES_H
#define SOURCES_H

#include <stdint.h>

/*
 * Names of sources, interned: a message and a lane hold a small number. 0 is
 * "", the system's choice of address. What a name stands for is sourcelist.h's.
 */
#define SOURCES_MAX 65535 /* the last is that of all names too many */

uint16_t sources_index(const char *name);
/* A name too many is one with a blank, which no line of control/sources has: such mail waits. */
const char *sources_name(uint16_t index);

#endif
