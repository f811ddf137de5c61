#ifndef CTL_WHY_H
#define CTL_WHY_H

#include "message.h"

struct lane;

/* All that holds a recipient, as a sentence for people, causes parted by "; also: "; of a lane, the
 * signal that binds it. */
void ctl_why_text(struct rcpt *r, char *out, size_t size);

/* "source", "down", "paused", "rate", "slow", "ceiling", "window", or "" if nothing holds it. */
const char *ctl_why_signal(const struct lane *lane);

/* When the lane may start something again, wall clock milliseconds; 0: nothing is planned. */
int64_t ctl_why_next(const struct lane *lane);

#endif
