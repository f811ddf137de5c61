#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "address.h"
#include "buf.h"
#include "id.h"
#include "ip.h"

#include <stdint.h>

/*
 * The envelope of a message, as its submitter writes it at the head of the
 * memfd (or big file), before the content: one run of netstrings, the layout
 * below, all integers decimal:
 *
 *   "1"  id  sender  tenant  source  client  helo  auth  flags  ret  envid
 *   priority  through  arrival  destination  nrcpts
 *   then per recipient:  address  notify  orcpt
 *
 * The content that follows is CRLF lines, dots unstuffed, our Received line
 * first. Everything here was checked by the submitter, and is checked again by
 * envelope_decode(), because a submitter parses bytes from the network.
 */
#define ENVELOPE_RCPTS_MAX 1000      /* a transaction; RFC 5321 4.5.3.1.8 asks for 100 */
#define ENVELOPE_TENANT_SIZE 65      /* tenant names: printable, no blanks */
#define ENVELOPE_SOURCE_SIZE 65
#define ENVELOPE_HELO_SIZE 256
#define ENVELOPE_CLIENT_SIZE 64      /* "192.0.2.1", "2001:db8::1", "uid 1000" */
#define ENVELOPE_AUTH_SIZE 256
#define ENVELOPE_ENVID_SIZE 101      /* RFC 3461 4.4 */
#define ENVELOPE_ORCPT_SIZE 501      /* RFC 3461 4.2 */
#define ENVELOPE_DESTINATION_SIZE 64 /* "ADDRESS PORT" in transparent mode, else "" */
#define ENVELOPE_MAX (ENVELOPE_RCPTS_MAX * (ADDRESS_MAX + ENVELOPE_ORCPT_SIZE + 32) + 4096)

/* flags */
enum {
  ENVELOPE_8BITMIME = 1, /* MAIL had BODY=8BITMIME */
  ENVELOPE_SMTPUTF8 = 2,
  ENVELOPE_DSN = 4,   /* this message is itself a delivery status notification of ours */
  ENVELOPE_DOUBLE = 8 /* a notification to control/doublebounceto: its own failure is a log line only */
};

/* ret */
enum { ENVELOPE_RET_UNSET = 0, ENVELOPE_RET_FULL = 1, ENVELOPE_RET_HDRS = 2 };

/* notify: 0 when RCPT had none (RFC 3461 4.1: then as FAILURE, and DELAY as we like) */
enum {
  ENVELOPE_NOTIFY_NEVER = 1,
  ENVELOPE_NOTIFY_SUCCESS = 2,
  ENVELOPE_NOTIFY_FAILURE = 4,
  ENVELOPE_NOTIFY_DELAY = 8
};

/* through: seconds to wait for the MX's own answer before committing */
enum { ENVELOPE_THROUGH_ONLY = 1 << 30 }; /* added to the seconds: never queue */

struct envelope_rcpt {
  char *address;
  char *orcpt; /* as received, "rfc822;..."; "" if none */
  int notify;
};

struct envelope {
  char id[ID_SIZE];
  char sender[ADDRESS_SIZE]; /* "" for <> */
  char tenant[ENVELOPE_TENANT_SIZE];
  char source[ENVELOPE_SOURCE_SIZE]; /* a line of control/sources, "" for the default */
  char client[ENVELOPE_CLIENT_SIZE];
  char helo[ENVELOPE_HELO_SIZE];
  char auth[ENVELOPE_AUTH_SIZE]; /* who authenticated, "" for nobody */
  int flags;
  int ret;
  char envid[ENVELOPE_ENVID_SIZE]; /* xtext, as received */
  int priority;                    /* 0 to 99, higher goes first; default 50 */
  uint32_t through;
  int64_t arrival; /* wall clock, ms */
  char destination[ENVELOPE_DESTINATION_SIZE];
  struct envelope_rcpt *rcpts; /* strings owned by the envelope */
  uint32_t rcpt_count;
  uint32_t rcpt_cap;
};

#define ENVELOPE_PRIORITY_DEFAULT 50

void envelope_init(struct envelope *e);
void envelope_reset(struct envelope *e); /* all of it, for the next MAIL */
void envelope_free(struct envelope *e);

/* 0, or -1 with errno ENOMEM, or EMSGSIZE at ENVELOPE_RCPTS_MAX. */
int envelope_add_rcpt(struct envelope *e, const char *address, int notify, const char *orcpt);

int envelope_encode(const struct envelope *e, struct buf *out);

/* The whole of data must be one envelope. 0, or -1 with errno EINVAL or ENOMEM. */
int envelope_decode(struct envelope *e, const char *data, size_t len);

bool envelope_tenant_valid(const char *s, size_t len);
bool envelope_source_valid(const char *s, size_t len); /* not "": that is the default */

#endif
