#ifndef LOOKUP_H
#define LOOKUP_H

#include "domain.h"

/* Questions to the resolver: the caps, and what waits for them. */
void lookup_start(void);
void lookup_channel(int fd); /* from the master; relay-send's now */
void lookup_forget(struct domain *d);
void lookup_more(void); /* asks what waits in line, as far as the caps allow */
void lookup_flush(void);
bool lookup_stalled(void);

#endif
