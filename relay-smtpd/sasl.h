#ifndef SASL_H
#define SASL_H

#include "authd.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * What a client says in AUTH (RFC 4954), without I/O: base64 and the messages
 * of PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195). A parser fills its part
 * of q and returns NULL, or the whole reply that says what is wrong. Whoever
 * calls wipes what was given and q.
 */
enum sasl_mechanism { SASL_UNKNOWN, SASL_PLAIN, SASL_LOGIN, SASL_CRAM_MD5 };

/* The argument of AUTH: mechanism, and the initial response, NULL if there is none. */
enum sasl_mechanism sasl_parse(const char *s, size_t len, const char **initial,
                               size_t *initial_len);

#define SASL_MESSAGE_MAX 1024 /* bytes of a decoded message: two names and a password */

/* Strictly RFC 4648 4, with padding. False: malformed, or more than size bytes. */
bool sasl_base64_decode(const char *s, size_t len, char *out, size_t size, size_t *out_len);
/* out has room for 4 * ((len + 2) / 3) + 1 bytes. */
void sasl_base64_encode(const char *s, size_t len, char *out);

const char *sasl_plain(const char *message, size_t len, struct authd_request *q);
const char *sasl_login_user(const char *message, size_t len, struct authd_request *q);
const char *sasl_login_password(const char *message, size_t len, struct authd_request *q);
const char *sasl_cram_md5(const char *message, size_t len, struct authd_request *q);

/* What a client hears whose name or password cannot be right, or is not. */
extern const char sasl_refusal[];

#endif
