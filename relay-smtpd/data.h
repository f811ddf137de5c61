#ifndef DATA_H
#define DATA_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes behind DATA, without I/O: finds the end, undoes dot-stuffing
 * (RFC 5321 4.5.2), and finds what must not be there. However the input is cut
 * into pieces, the results are the same.
 *
 * The end is CRLF "." CRLF and nothing else (the first CRLF may be that of the
 * DATA command). Behind a defect no more content is handed on, but the end is
 * looked for as before, so that client and server agree on where commands
 * begin again: anything else is SMTP smuggling (CVE-2023-51764 and its kin).
 */
enum data_defect {
  DATA_SOUND,
  DATA_BARE_LF, /* an LF without CR before it */
  DATA_BARE_CR, /* a CR without LF behind it */
  DATA_NUL
};

enum data_state { DATA_LINE_START, DATA_TEXT, DATA_CR, DATA_DOT, DATA_DOT_CR, DATA_ENDED };

/* Of a header field, that many bytes are kept for the log. */
#define DATA_FIELD_MAX 65536

struct data {
  /* Set by the caller after data_begin(): */
  bool normalize; /* a bare LF becomes CRLF instead of a defect, and never begins an end */
  uint64_t max;   /* bytes of content; more is too_big */
  void (*content)(void *arg, const char *bytes, size_t len);
  void (*header)(void *arg, const char *field, size_t len); /* one field, unfolded, or NULL */
  void *arg;
  /* Results: */
  uint64_t size; /* bytes of content, as RFC 1870 counts them */
  unsigned hops; /* Received fields */
  bool too_big;
  enum data_defect defect; /* the first one */
  uint64_t defect_line;    /* where, from 1 */
  /* data.c's own: */
  enum data_state state;
  uint64_t line;
  bool in_header;
  bool field_fresh; /* nothing of this line is in field yet */
  struct buf field;
};

void data_begin(struct data *d);
void data_free(struct data *d);

/* Takes bytes up to the end of DATA; how many they were. data_ended() says if that was it. */
size_t data_feed(struct data *d, const char *bytes, size_t len);

static inline bool data_ended(const struct data *d)
{
  return d->state == DATA_ENDED;
}

/* True when nothing more of the content is wanted. */
static inline bool data_refused(const struct data *d)
{
  return d->defect != DATA_SOUND || d->too_big;
}

#endif
