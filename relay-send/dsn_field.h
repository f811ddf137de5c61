#ifndef DSN_FIELD_H
#define DSN_FIELD_H

#include "buf.h"

/*
 * Text from peers, made fit for a header field or a line of a DSN. Nothing
 * that is written by these functions can end a line or begin a field: bytes
 * below 0x20, DEL, C1 controls, what is not UTF-8, and without utf8 all that is
 * not ASCII, become \xHH.
 */

/* Longest line without its CRLF; RFC 5322 2.1.1. */
#define DSN_LINE_MAX 998
#define DSN_FOLD_AT 78

/*
 * first, then text, then CRLF, folded at blanks; each further line begins with
 * next, which begins with a blank where folding a field (RFC 5322 2.2.3). A
 * word longer than a line may be is cut in two.
 */
int dsn_put_folded(struct buf *out, const char *first, const char *next, const char *text,
                   size_t len, bool utf8);
int dsn_put_field(struct buf *out, const char *name, const char *text, bool utf8);

/* "rfc822; a@example.com" from an ORCPT parameter (RFC 3461 4.2, RFC 6533 3), not cleaned yet. */
int dsn_decode_orcpt(struct buf *out, const char *orcpt, bool utf8);
/* RFC 3461 4: what is not xtext stays as it is. */
int dsn_decode_xtext(struct buf *out, const char *s, size_t len);

#endif
