#ifndef SESSION_H
#define SESSION_H

#include "follow.h"

/* Between follow.c and the protocols: pieces of what client and server said, in order. */

void smtp_client(struct follow *f, struct track *k, const char *p, size_t len, bool newline);
void smtp_server(struct follow *f, struct track *k, const char *p, size_t len, bool newline);
void pop3_client(struct follow *f, struct track *k, const char *p, size_t len, bool newline);
void pop3_server(struct follow *f, struct track *k, const char *p, size_t len, bool newline);

/* The beginning of a session: the server's greeting is due. */
void smtp_begin(struct track *k);
void pop3_begin(struct follow *f, struct track *k);

/* Pieces of a line: with its newline they go to take as one; more is how much of it is missing. */
typedef void session_line_fn(struct follow *f, struct track *k, const char *line, size_t len,
                             size_t more);
void session_join(struct follow *f, struct track *k, struct text *held, const char *p, size_t len,
                  bool newline, session_line_fn *take);

/* From here nothing of this session is logged. Says so once. */
void session_lost(struct follow *f, struct track *k, const char *reason);
void session_tls(struct follow *f, struct track *k, const char *reason);

/* AUTH, of either protocol: the mechanism is logged if it is one. */
void session_put_auth(struct follow *f, struct track *k, const char *line, size_t len);

/*
 * The bytes of a message, or of another answer up to a dot.
 * SOFT_END: a dot alone on its line, but bare LFs are about: an end to some.
 */
enum content_result { CONTENT_GOES_ON, CONTENT_END, CONTENT_SOFT_END };

void content_start(struct follow *f, struct track *k, bool header);
enum content_result content_take(struct follow *f, struct track *k, char direction, const char *p,
                                 size_t len, bool newline, bool dots);
void content_finish(struct follow *f, struct track *k, char direction);

#endif
