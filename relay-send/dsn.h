#ifndef DSN_H
#define DSN_H

#include "bounce.h"
#include "control.h"
#include "envelope.h"

/*
 * Composing one delivery status notification (RFC 3464; RFC 6533 for
 * addresses and headers in UTF-8). All of it runs in a confined child of
 * relay-bounce that lives for one DSN.
 */
#define DSN_ORIGINAL_MAX (16 << 20) /* the most that control/bouncemaxbytes may be */
#define DSN_HEADER_MAX 65536        /* bytes of an original's header that are looked at */
#define DSN_CONTENT_MAX (24 << 20)  /* a whole DSN: 1,000 recipients and an original */
#define DSN_TEXT_LINES_MAX 100      /* lines of control/bouncetext */

struct dsn_config {
  char me[ADDRESS_DOMAIN_MAX + 1];
  char from[ADDRESS_SIZE];      /* bouncefrom@bouncehost */
  char double_to[ADDRESS_SIZE]; /* doublebounceto, "" for none */
  uint64_t original_max;        /* bouncemaxbytes */
  uint64_t lifetime;            /* seconds a message is tried for */
  struct control_list text;     /* the lines of bouncetext */
};

/* Reads the control files. 0, or -1: control_error() says which file and line. */
int dsn_config_read(struct dsn_config *c);

struct dsn_job {
  struct bounce_job head;
  struct bounce_rcpt *rcpts; /* head.rcpt_count of them */
};

/*
 * The job's DSN. fd is the original, laid out as in envelope.h, read with
 * pread only. Returns 1 with *dsn_fd a sealed memfd, the caller's; 2 when none
 * is due; 0 when none could be made. answer is filled in each case.
 */
int dsn_compose(const struct dsn_config *c, const struct dsn_job *job, int fd,
                struct bounce_answer *answer, int *dsn_fd);

/* --- What the composer's files know of one DSN. */

/* What is returned of the original: CRLF lines of at most 998 bytes. */
struct dsn_original {
  struct buf bytes;
  bool full;            /* all of it, else its header */
  bool eight_bit;       /* a byte over 0x7f is in bytes */
  bool header_utf8;     /* its header has UTF-8 that is not ASCII */
  char message_id[256]; /* "<...>", or "" */
};

struct dsn {
  const struct dsn_config *config;
  const struct dsn_job *job;
  struct envelope original;
  const struct bounce_rcpt **due; /* into job: who is told about, in the envelope's order */
  size_t due_count;
  struct dsn_original returned;
  bool global;         /* the RFC 6533 forms */
  bool bounced_double; /* goes to control/doublebounceto */
  char to[ADDRESS_SIZE];
  char id[ID_SIZE];
  char boundary[48];
  struct buf out;
};

/* dsn_plan.c: who is told what. 1 to go on, 2 none is due (*why says it). */
int dsn_plan(struct dsn *d, const char **why);

/* dsn_original.c: 0, or -1 with errno. */
int dsn_original_read(struct dsn_original *o, int fd, uint64_t offset, uint64_t len,
                      uint64_t full_max);
/* Its parser, for tests: takes the header out of data, which may be cut. */
int dsn_original_header(struct dsn_original *o, const char *data, size_t len);

/* dsn_text.c, dsn_status.c: the first two parts' bodies, appended to d->out. 0 or -1. */
int dsn_put_text(struct dsn *d);
int dsn_put_status(struct dsn *d);

#endif
