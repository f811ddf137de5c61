/* EHLO's offers and the MAIL and RCPT lines that make use of them. */
#include "offer.h"

#include "scan.h"

#include <errno.h>
#include <string.h>

static bool is_keyword(const char *line, size_t len, const char *keyword)
{
  const char *blank = memchr(line, ' ', len);

  return scan_case_equal(line, blank ? (size_t)(blank - line) : len, keyword, strlen(keyword));
}

void offer_take(struct smtp_offer *offer, const char *line, size_t len)
{
  const char *value;

  while (len > 0 && line[len - 1] == ' ') {
    len--;
  }
  if (is_keyword(line, len, "PIPELINING")) {
    offer->pipelining = true;
  } else if (is_keyword(line, len, "8BITMIME")) {
    offer->eightbitmime = true;
  } else if (is_keyword(line, len, "SMTPUTF8")) {
    offer->smtputf8 = true;
  } else if (is_keyword(line, len, "DSN")) {
    offer->dsn = true;
  } else if (is_keyword(line, len, "ENHANCEDSTATUSCODES")) {
    offer->enhancedstatuscodes = true;
  } else if (is_keyword(line, len, "STARTTLS")) {
    offer->starttls = true;
  } else if (is_keyword(line, len, "SIZE")) {
    offer->size = true;
    value = line + 5;
    /* RFC 1870 4: no number, or 0, is no fixed limit; what is not a number is taken as none. */
    if (len > 5 && scan_u64(value, len - 5, UINT64_MAX, &offer->size_max) == -1) {
      offer->size_max = 0;
    }
  }
}

/* No byte that could end the line or the path early; a second lock on the door. */
static bool is_safe(const char *s)
{
  for (; *s; s++) {
    if ((unsigned char)*s < 0x20 || *s == 0x7f) {
      return false;
    }
  }
  return true;
}

int offer_mail(struct buf *out, const struct envelope *e, const struct smtp_offer *offer,
               uint64_t content_len, bool has_8bit)
{
  int failed;

  if (!is_safe(e->sender) || !is_safe(e->envid)) {
    errno = EINVAL;
    return -1;
  }
  failed = buf_printf(out, "MAIL FROM:<%s>", e->sender);
  if (offer->size) {
    failed |= buf_printf(out, " SIZE=%llu", (unsigned long long)content_len);
  }
  if (offer->eightbitmime && (has_8bit || (e->flags & ENVELOPE_8BITMIME))) {
    failed |= buf_append_str(out, " BODY=8BITMIME");
  }
  if (offer->smtputf8 && (e->flags & ENVELOPE_SMTPUTF8)) {
    failed |= buf_append_str(out, " SMTPUTF8");
  }
  if (offer->dsn && e->ret != ENVELOPE_RET_UNSET) {
    failed |= buf_append_str(out, e->ret == ENVELOPE_RET_FULL ? " RET=FULL" : " RET=HDRS");
  }
  if (offer->dsn && *e->envid) {
    failed |= buf_printf(out, " ENVID=%s", e->envid);
  }
  failed |= buf_append(out, "\r\n", 2);
  return failed ? -1 : 0;
}

static int put_notify(struct buf *out, int notify)
{
  static const struct {
    int bit;
    const char *name;
  } names[] = {{ENVELOPE_NOTIFY_SUCCESS, "SUCCESS"},
               {ENVELOPE_NOTIFY_FAILURE, "FAILURE"},
               {ENVELOPE_NOTIFY_DELAY, "DELAY"}};
  const char *before = " NOTIFY=";
  int failed = 0;

  if (notify & ENVELOPE_NOTIFY_NEVER) {
    return buf_append_str(out, " NOTIFY=NEVER"); /* RFC 3461 4.1: alone */
  }
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (notify & names[i].bit) {
      failed |= buf_printf(out, "%s%s", before, names[i].name);
      before = ",";
    }
  }
  return failed;
}

int offer_rcpt(struct buf *out, const struct envelope_rcpt *rcpt, const struct smtp_offer *offer)
{
  int failed;

  if (!is_safe(rcpt->address) || !is_safe(rcpt->orcpt)) {
    errno = EINVAL;
    return -1;
  }
  failed = buf_printf(out, "RCPT TO:<%s>", rcpt->address);
  if (offer->dsn) {
    failed |= put_notify(out, rcpt->notify);
    /* RFC 6533 3: a UTF-8 original recipient needs SMTPUTF8. */
    if (*rcpt->orcpt && (offer->smtputf8 || scan_ascii_only(rcpt->orcpt, strlen(rcpt->orcpt)))) {
      failed |= buf_printf(out, " ORCPT=%s", rcpt->orcpt);
    }
  }
  failed |= buf_append(out, "\r\n", 2);
  return failed ? -1 : 0;
}
