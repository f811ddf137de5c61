#ifndef REPLIES_H
#define REPLIES_H

#include "control.h"
#include "trouble.h"
#include "verdict.h"

#include <stdio.h>

/*
 * control/replies: which reply of an MX is about ourselves, and of what kind.
 * A line has four columns, separated by blanks:
 *
 *   KIND  WHERE  SITE  PATTERN
 *
 * KIND     none ceiling rate reputation blocked (trouble.h)
 * WHERE    what the reply answered: connect banner helo tls mail rcpt data dot,
 *          several with commas, or * for any
 * SITE     a pattern for the site's name, * for any
 * PATTERN  for the whole reply, its code first; it may hold blanks
 *
 * In patterns * is any text, ? any one byte; case does not count. The reply is
 * matched as one line, with the enhanced status only where it first appears, as
 * MXs repeat it in each line of a reply. The first line that matches decides.
 * The operator's lines come first, then the table in replies_table.c; "none"
 * takes a reply out of it.
 */
#define REPLIES_PATTERN_MAX 500

struct reply_rule;
struct replies {
  struct reply_rule *first, *last;
};

void replies_init(struct replies *replies);
/* The operator's, if there are any, and the built-in ones. */
enum control_result replies_read(struct replies *replies);
void replies_free(struct replies *replies);

/* One line, to the end of the table. NULL, or what is wrong with it. */
const char *replies_add(struct replies *replies, const char *line);

/*
 * All lines that count, in their order, as a file that says the same: the operator's, then those of
 * the table that he does not have.
 */
enum control_result replies_print(FILE *out);

/* What a 4xx or 5xx of this site is about. Outcomes without a reply are none. */
enum trouble replies_find(const struct replies *replies, const char *site, const struct outcome *o);

/* For its tests: does pattern fit all of text? Both in lower case. */
bool replies_match(const char *pattern, const char *text);

/* replies_table.c; NULL ends it. */
extern const char *const replies_built_in[];

#endif
