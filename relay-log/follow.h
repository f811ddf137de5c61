#ifndef FOLLOW_H
#define FOLLOW_H

#include "outlet.h"
#include "track.h"

/*
 * Follows the sessions of a log and puts out of each what is envelope and
 * header. How the log is cut, into reads and by recordio into pieces, makes no
 * difference to what comes out.
 *
 * What may be logged depends on where a session is, and who talks: in SMTP the
 * client, in POP3 the author of a mail would like a body to be taken for
 * commands or replies. So where a session is, is concluded from what the other
 * side says: content begins with the server's 354 or +OK, never with what the
 * client or a line of the mail looks like; and where the two sides could
 * disagree (bare LFs, content before 354, sizes that are no numbers), nothing is
 * logged, until they must agree again.
 *
 * A session whose beginning was not seen (relay-log was restarted; TRACKS_MAX)
 * is not logged either: its next line might be a body's, or a password. It is
 * known again
 *   SMTP: after the reply to a content that a 354 began;
 *   POP3: never; these sessions are short.
 * A beginning is tcpserver's "pid" or "ok" line. Without these (tcpserver -q):
 *   SMTP: a first line that is a greeting of the server's (220, 421, 554);
 *   POP3: +OK, at once followed by a command that nobody gives after it has
 *         logged in: a mail being read could begin with "+OK", too.
 */
enum follow_protocol { FOLLOW_SMTP, FOLLOW_POP3 };

struct follow {
  enum follow_protocol protocol;
  struct outlet *outlet;
  bool tcpserver; /* its lines are in this log */
  struct tracks tracks;
};

/* sessions: how many are followed at a time, TRACKS_MAX but in tests. 0, or -1 with errno. */
int follow_init(struct follow *f, enum follow_protocol protocol, struct outlet *outlet,
                size_t sessions);
void follow_free(struct follow *f);

/* One line of the log, without its newline; more is how much of it is missing. */
void follow_line(struct follow *f, const char *line, size_t len, size_t more);

/* The log ends: puts out what was held back for lines that might have followed. */
void follow_end(struct follow *f);

#endif
