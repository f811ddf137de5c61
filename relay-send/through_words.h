#ifndef THROUGH_WORDS_H
#define THROUGH_WORDS_H

#include "intake.h"
#include "verdict.h"

/*
 * The reply that tells a submitter what an MX said of its message: the MX's own
 * code and enhanced status, then "HOST said: " and its text; in one line of at
 * most 512 bytes (RFC 5321 4.5.3.1.5), in ASCII. What nobody said (a null MX, a
 * lost connection) stands without a host.
 *
 * code and text are those of V (intake.h). The class is the verdict's: 2 for
 * delivered and dropped, 4 for deferred, 5 for failed.
 */
void through_words(const struct outcome *o, int *code, char text[INTAKE_TEXT_SIZE]);

#endif
