#ifndef LOAD_H
#define LOAD_H

#include "tool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * bench/load's two halves: load.c has the tenants, their schedules and the
 * log; load_session.c is an SMTP client on one connection.
 */
struct message {
  uint32_t number;
  int64_t due, start, connected, dot; /* microseconds; 0: not reached */
};

struct session {
  struct loop_watch watch; /* the first member; fd -1: not connected */
  struct tenant *tenant;
  struct session *next_idle;
  struct message message;
  int state; /* load_session.c's own, and all that follows */
  bool busy, pipelining;
  int code; /* of the first command that failed, 0 for none */
  unsigned served;
  size_t out_len, out_at, body_len; /* out, then body_len bytes of the body */
  size_t in_len;
  char out[1024];
  char in[2048];
};

#define LOAD_SIZE_MIN 512 /* bytes: the header that every message has, and a line */

extern struct sockaddr_in load_server;
extern size_t load_size; /* of a message's content, in bytes */

/* A session that has a message: sends it, on its connection or on a new one. */
void session_send(struct session *s);
/* Says QUIT where that makes sense, and closes. */
void session_quit(struct session *s);
/* Makes what all messages share. */
void session_prepare(void);

/* Called by sessions: the message's answer, and what the tenant wants next. */
void load_done(struct session *s, int code, const char *text);
const char *load_name(const struct session *s);
struct sockaddr_in load_source(const struct session *s);
void load_recipient(const struct session *s, char *out, size_t size);
bool load_again(const struct session *s); /* may this connection carry one more? */

#endif
