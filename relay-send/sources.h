#ifndef SOURCES_H
#define SOURCES_H

#include <stdint.h>

/*
 * Names of source addresses, interned: a message and a lane hold
 * a small number. 0 is "", the system's choice of address.
 */
#define SOURCES_MAX 4096

uint16_t sources_index(const char *name); /* a name too many is 0 */
const char *sources_name(uint16_t index);

#endif
