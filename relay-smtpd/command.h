#ifndef COMMAND_H
#define COMMAND_H

#include "address.h"
#include "envelope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Command lines of SMTP (RFC 5321 4.1.1), without I/O. A parser returns NULL,
 * or the whole reply that says what is wrong ("501 5.5.4 ...").
 */
enum command_verb {
  COMMAND_UNKNOWN,
  COMMAND_HELO,
  COMMAND_EHLO,
  COMMAND_MAIL,
  COMMAND_RCPT,
  COMMAND_DATA,
  COMMAND_RSET,
  COMMAND_NOOP,
  COMMAND_VRFY,
  COMMAND_HELP,
  COMMAND_QUIT,
  COMMAND_STARTTLS,
  COMMAND_AUTH,
  COMMAND_UNOFFERED, /* known to SMTP, but no extension of ours: EXPN, BDAT, ETRN, ... */
  COMMAND_FOREIGN    /* another protocol's: a browser was sent here (GET, POST, ...) */
};

struct command {
  enum command_verb verb;
  const char *argument; /* into the line, blanks around it left out */
  size_t argument_len;
};

/* line is without its CRLF. */
const char *command_parse(const char *line, size_t len, struct command *c);

struct command_mail {
  char sender[ADDRESS_SIZE];
  uint64_t size; /* SIZE=, 0 if not given; UINT64_MAX if more than that */
  int flags;     /* ENVELOPE_8BITMIME | ENVELOPE_SMTPUTF8 */
  int ret;
  char envid[ENVELOPE_ENVID_SIZE];
};

struct command_rcpt {
  char address[ADDRESS_SIZE];
  int notify;
  char orcpt[ENVELOPE_ORCPT_SIZE];
};

/* The argument of MAIL ("FROM:<...> ...") and of RCPT ("TO:<...> ..."). AUTH= is a parameter of
 * MAIL where AUTH is offered. */
const char *command_parse_mail(const char *s, size_t len, bool auth_offered,
                               struct command_mail *m);
const char *command_parse_rcpt(const char *s, size_t len, bool utf8_allowed,
                               struct command_rcpt *r);

#endif
