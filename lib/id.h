#ifndef ID_H
#define ID_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The public id of a message, seen in Received lines, replies and logs: 16
 * characters of Crockford's base 32, nine of the time in milliseconds (so ids
 * sort by age), seven of the minting pid and of random bits. A label, not a
 * key: relay-queue's serial is the key.
 */
#define ID_LENGTH 16
#define ID_SIZE (ID_LENGTH + 1)

void id_mint(char id[ID_SIZE]);
bool id_valid(const char *s, size_t len);

#endif
