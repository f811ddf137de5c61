/*
 * The Received line:
 *
 *   Received: from HELO (HOST [IP])
 *     by ME with ESMTPSA id ID
 *     for <RCPT>
 *     tls TLS_ECDHE_...; DATE
 *
 * "for" is there only for a message to exactly one recipient, who then learns
 * an address that is no news to them. With several it would tell some of them
 * (Bcc) of each other. It is the address that the client gave, before
 * RELAYCLIENT's suffix.
 */
#include "received.h"

#include "address.h"
#include "clock.h"
#include "scan.h"

#include <string.h>

/* The greatest part of a name that is none: RFC 5322 2.1.1 has lines of 998 bytes. */
#define HELO_SHOWN_MAX 255

void received_clean_helo(const char *s, size_t len, char *out, size_t size)
{
  bool utf8 = scan_utf8_valid(s, len);
  size_t n = 0;

  for (size_t i = 0; i < len && n + 1 < size; i++) {
    unsigned char c = (unsigned char)s[i];
    out[n++] = c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : s[i];
  }
  out[n] = '\0';
}

/*
 * The name as a Domain or address literal, if it is one; else (RFC 5321 has no
 * words for it) with everything replaced that has a meaning in a header.
 */
static int put_helo(struct buf *b, const struct received *r)
{
  static const char plain[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";
  size_t len = strlen(r->helo);

  if (address_domain_valid(r->helo, len, r->smtputf8)) {
    return buf_append(b, r->helo, len);
  }
  for (size_t i = 0; i < len && i < HELO_SHOWN_MAX; i++) {
    if (buf_append_char(b, strchr(plain, r->helo[i]) ? r->helo[i] : '?') < 0) {
      return -1;
    }
  }
  return 0;
}

static int put_client(struct buf *b, const struct received *r)
{
  char ip[IP_TEXT_SIZE];

  if (!r->client->family) {
    return 0;
  }
  ip_format(r->client, ip);
  return buf_printf(b, " (%s%s[%s%s])", r->client_host, *r->client_host ? " " : "",
                    r->client->family == AF_INET6 ? "IPv6:" : "", ip);
}

/* Its "by" is the first one behind a blank: no HELO name has one (put_helo()). */
bool received_is_by(const char *field, size_t len, const char *me)
{
  static const char start[] = "Received: from ", by[] = " by ", with[] = " with ";
  const size_t by_len = sizeof by - 1, me_len = strlen(me);

  if (!scan_case_prefix(field, len, start)) {
    return false;
  }
  const char *found = memmem(field, len, by, by_len);
  if (!found) {
    return false;
  }
  const char *name = found + by_len;
  size_t left = len - (size_t)(name - field);
  return scan_case_prefix(name, left, me) && scan_case_prefix(name + me_len, left - me_len, with);
}

int received_put(struct buf *b, const struct received *r)
{
  /* RFC 3848, RFC 6531 4.3: ESMTPS, UTF8SMTPSA, ... */
  const char *with = !r->esmtp ? "SMTP" : r->smtputf8 ? "UTF8SMTP" : "ESMTP";
  const char *secured = r->esmtp && r->tls ? "S" : "", *known = r->esmtp && r->auth ? "A" : "";
  char date[CLOCK_RFC5322_SIZE];

  clock_format_rfc5322(r->when, date);
  if (buf_append_str(b, "Received: from ") < 0 || put_helo(b, r) < 0 || put_client(b, r) < 0 ||
      buf_printf(b, "\r\n  by %s with %s%s%s id %s", r->me, with, secured, known, r->id) < 0) {
    return -1;
  }
  if (r->only_rcpt && buf_printf(b, "\r\n  for <%s>", r->only_rcpt) < 0) {
    return -1;
  }
  if (r->tls && buf_printf(b, "\r\n  %s", r->tls) < 0) { /* RFC 8314 4.3 */
    return -1;
  }
  return buf_printf(b, ";\r\n  %s\r\n", date);
}
