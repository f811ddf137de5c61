#ifndef BODY_H
#define BODY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Content on its way to the wire. Whatever comes in, what goes out is lines
 * that end in CRLF and begin with no single dot, and nowhere a CR without its
 * LF or an LF without its CR (CVE-2023-51764 and kin). Dot-stuffing (RFC 5321
 * 4.5.2) is the last change made. relay-smtpd lets no bare CR or LF in, so
 * only a fault elsewhere shows here: a bare LF becomes CRLF, a bare CR a blank,
 * so that the number of lines stays what it was. Pure.
 */
struct body {
  bool inside_line; /* something of the line is out already */
  bool cr;          /* a CR has come and waits for what follows it */
};

/* The most that body_encode() and then body_end() write for len bytes. */
#define BODY_ROOM(len) (2 * (len) + 8)

void body_init(struct body *b);

/*
 * True if body_encode() would give this piece back as it is, which most pieces
 * of most messages are: it can be sent without a copy, and counts as encoded.
 */
bool body_plain(struct body *b, const char *data, size_t len);

/* Encodes a piece of the content; returns the bytes written to out. */
size_t body_encode(struct body *b, const char *data, size_t len, char *out);

#define BODY_END_ROOM 5 /* bytes that body_end() writes at most */

/* Ends the last line if need be, and the message: the final dot. */
size_t body_end(struct body *b, char *out);

#endif
