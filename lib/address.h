#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Mail addresses as RFC 5321 4.1.2 and RFC 6531 3.3 have them in MAIL and
 * RCPT. Limits: RFC 5321 4.5.3.1, in octets (RFC 6531 3.3 keeps them).
 */
#define ADDRESS_LOCAL_MAX 64
#define ADDRESS_DOMAIN_MAX 255
#define ADDRESS_MAX 320          /* local, "@", domain */
#define ADDRESS_SIZE (ADDRESS_MAX + 1)

enum address_result {
  ADDRESS_OK,
  ADDRESS_SYNTAX,   /* 501 5.1.3 (recipient) or 5.1.7 (sender) */
  ADDRESS_TOO_LONG, /* a part is over its limit */
  ADDRESS_NEEDS_UTF8 /* non-ASCII without SMTPUTF8: 553 5.6.7 */
};

/*
 * Parses a path: s begins at "<". A source route ("@a,@b:") is stripped. The
 * address is stored without angle brackets, a quoted local part kept quoted
 * only if it needs to be, the domain in lower case (ASCII), its final dot
 * removed. "<>" gives an empty address (only with null_allowed). An address
 * without "@" is stored as it is: the caller decides. *used is how many bytes
 * of s the path took, its ">" included.
 */
enum address_result address_parse_path(const char *s, size_t len, bool utf8_allowed,
                                       bool null_allowed, char out[ADDRESS_SIZE], size_t *used);

/* The same checks for a bare address from a control file or a command line. */
enum address_result address_parse(const char *s, size_t len, bool utf8_allowed,
                                  char out[ADDRESS_SIZE]);

/* The part behind the last "@", or NULL. Points into address. */
const char *address_domain(const char *address);

/* A domain of letters, digits, hyphens, (with utf8_allowed) UTF-8, or an address literal. */
bool address_domain_valid(const char *s, size_t len, bool utf8_allowed);

/* RFC 3461 4: xtext. */
bool address_xtext_valid(const char *s, size_t len);

#endif
