#ifndef MASTER_H
#define MASTER_H

#include <stdbool.h>
#include <stdint.h>

/* The channel to the master of relay-remote (work.h). */
int master_open(int fd); /* 0 or -1 */
void master_ask(uint64_t token); /* one more worker */
void master_flush(void);
bool master_stalled(void);

#endif
