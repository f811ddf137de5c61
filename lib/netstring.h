#ifndef NETSTRING_H
#define NETSTRING_H

#include "buf.h"

#include <stdint.h>

/*
 * A request between processes is one datagram of netstring fields
 * ("5:hello,"). A writer appends fields to a buf. A reader takes each field
 * with a maximum of its own, then requires the exact end, and only then acts.
 */

int netstring_put(struct buf *b, const char *data, size_t len);
int netstring_put_str(struct buf *b, const char *s);
int netstring_put_u64(struct buf *b, uint64_t value);

struct netstring_reader {
  const char *next;
  const char *end;
  bool bad; /* set by the first field that fails; all later ones fail too */
};

void netstring_open(struct netstring_reader *r, const char *data, size_t len);

/*
 * The next field, at most max bytes; *data points into the datagram. Returns 0,
 * or -1 when the field is missing, garbled or longer than max. Length
 * prefixes with leading zeros are garbled.
 */
int netstring_get(struct netstring_reader *r, size_t max, const char **data, size_t *len);
int netstring_get_u64(struct netstring_reader *r, uint64_t max, uint64_t *value);
/* Copies into a C string of size bytes; a field with a NUL in it fails. */
int netstring_get_str(struct netstring_reader *r, char *s, size_t size);
/* A field of exactly one byte, not NUL. */
int netstring_get_char(struct netstring_reader *r, char *c);

/* True when another field begins here. */
bool netstring_more(const struct netstring_reader *r);

/* 0 if nothing failed and nothing is left over, else -1. */
int netstring_end(const struct netstring_reader *r);

#endif
