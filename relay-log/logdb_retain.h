#ifndef LOGDB_RETAIN_H
#define LOGDB_RETAIN_H

#include "logdb_store.h"

/*
 * Deletes a little of what is older than cutoff (nanoseconds since 1970), in a
 * transaction of its own: sessions by their beginning, messages by their id,
 * deliveries by their time. True: there is more to delete.
 */
bool logdb_retain(struct logdb *db, int64_t cutoff);

#endif
