#ifndef CTL_SERVER_H
#define CTL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The operators' socket (ctl.h): fd 3 listens, group relayctl may connect. A
 * request that concerns many messages is worked on a part per turn of the
 * loop, so that an operator never delays the mail.
 */
int ctl_server_open(int listener); /* 0 or -1 */

/* A part of every request under way. True: there is more to do at once. */
bool ctl_server_run(void);

/* relay-queue's answer to Y. */
void ctl_server_last(uint64_t token, const char *text);

#endif
