#ifndef DIALOGUE_H
#define DIALOGUE_H

#include "command.h"
#include "hatch.h"
#include "input.h"
#include "reply.h"
#include "rules.h"
#include "submit.h"
#include "tls.h"

#include "envelope.h"

/* Limits of one session, each answered by 421 and the end. */
#define DIALOGUE_ERRORS_MAX 20         /* syntax and order; not what policy refuses */
#define DIALOGUE_IDLE_COMMANDS_MAX 100 /* since the last message, RCPT not counted */
#define DIALOGUE_DENIED_MS 10000       /* for who is served nothing, to hear it and to say QUIT */
#define DIALOGUE_RCPTS_MAX 20000       /* RCPTs since the last message, of all kinds */

/*
 * One SMTP session. Meant to be static: see input.h. What every session uses
 * comes first and together, the large buffers last: a page that is touched costs.
 */
struct dialogue {
  const struct rules *rules;
  struct hatch hatch;
  struct tls *tls; /* NULL: in clear */
  const struct rules *first_rules; /* before AUTH */
  char auth[ENVELOPE_TENANT_SIZE]; /* who has authenticated, "" if nobody has */
  unsigned auth_failures;

  bool greeted, esmtp;
  char helo[ENVELOPE_HELO_SIZE];

  bool in_mail; /* between MAIL and the end of DATA, or RSET */
  struct envelope envelope;
  char first_rcpt[ADDRESS_SIZE]; /* as the client gave it */
  struct buf message;            /* submit.h */
  uint64_t declared;             /* SIZE= */

  unsigned errors, idle_commands, rcpts;
  unsigned long accepted, refused; /* messages */
  int64_t began;
  const char *end; /* why the session is over, NULL while it is not */

  struct reply out;
  struct loglines log;
  struct input in;
};

void dialogue_init(struct dialogue *s, const struct rules *rules);

/* Banner to end. Everything that is needed is open, hatch_knock() done. */
void dialogue_run(struct dialogue *s);

/* Forgets the transaction (RFC 5321 4.1.1.5). */
void dialogue_reset(struct dialogue *s);

/* An error of the client's: the reply is given and counted. */
void dialogue_complain(struct dialogue *s, const char *reply);

/* STARTTLS (RFC 3207), and TLS from the first byte; the latter is true when it stands (secure.c). */
void secure_command(struct dialogue *s, const struct command *c);
bool secure_at_once(struct dialogue *s);
void secure_end(struct dialogue *s);

/* AUTH (auth.c): its line of the answer to EHLO, the command, why MAIL has to wait for it (NULL:
 * it need not), and what STARTTLS undoes. */
void auth_offer(struct dialogue *s);
void auth_command(struct dialogue *s, const struct command *c);
const char *auth_mail_refused(const struct dialogue *s);
void auth_forget(struct dialogue *s);

/* The next line within one timeout. INPUT_NEED: the session is over. */
enum input_result dialogue_line(struct dialogue *s, const char **line, size_t *len);

/* DATA, from the 354 to the reply (receive.c). */
void receive_message(struct dialogue *s);

/* Waits for input. False: the session is over, and what there was to say is said. */
bool dialogue_wait(struct dialogue *s, size_t max, int64_t deadline);

#endif
