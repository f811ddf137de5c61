#ifndef RETRY_ALL_H
#define RETRY_ALL_H

#include <stdbool.h>

/* SIGALRM: everything that waits is tried now; a part of the queue per turn of the loop. */
void retry_all_start(void);
void retry_all_begin(void);
bool retry_all_run(void); /* true: there is more to do */

#endif
