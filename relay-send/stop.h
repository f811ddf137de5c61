#ifndef STOP_H
#define STOP_H

#include <stdbool.h>

/*
 * How relay-send ends: it takes no new work, cancels what has not sent its final
 * dot, waits for what has (control/timeoutterm), and hands every result that
 * it knows to relay-queue.
 */
void stop_start(void);
void stop_begin(int status);
void stop_failed(const char *text); /* something is gone that relay-send cannot be without */
bool stop_ready(void);              /* all of that is done, or its time is over */

#endif
