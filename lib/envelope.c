/*
 * The envelope. The decoder trusts nothing: it runs in relay-queue and
 * relay-send on bytes from submitters, who had them from the network. What it
 * lets through can be written to a log line, an SMTP command or a header.
 */
#include "envelope.h"
#include "netstring.h"
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENVELOPE_VERSION "1"
#define FLAGS_ALL (ENVELOPE_8BITMIME | ENVELOPE_SMTPUTF8 | ENVELOPE_DSN | ENVELOPE_DOUBLE)
#define NOTIFY_ALL                                                                                 \
  (ENVELOPE_NOTIFY_NEVER | ENVELOPE_NOTIFY_SUCCESS | ENVELOPE_NOTIFY_FAILURE |                     \
   ENVELOPE_NOTIFY_DELAY)
#define PRIORITY_MAX 99
#define THROUGH_MAX (2 * (uint64_t)ENVELOPE_THROUGH_ONLY - 1)
#define RCPTS_FIRST_CAP 4

void envelope_init(struct envelope *e)
{
  *e = (struct envelope){.priority = ENVELOPE_PRIORITY_DEFAULT};
}

static void free_rcpts(struct envelope *e)
{
  for (uint32_t i = 0; i < e->rcpt_count; i++) {
    free(e->rcpts[i].address);
    free(e->rcpts[i].orcpt);
  }
  e->rcpt_count = 0;
}

void envelope_reset(struct envelope *e)
{
  free_rcpts(e);
  struct envelope_rcpt *rcpts = e->rcpts;
  uint32_t cap = e->rcpt_cap;
  envelope_init(e);
  e->rcpts = rcpts;
  e->rcpt_cap = cap;
}

void envelope_free(struct envelope *e)
{
  free_rcpts(e);
  free(e->rcpts);
  envelope_init(e);
}

static int grow(struct envelope *e)
{
  uint32_t cap = e->rcpt_cap ? 2 * e->rcpt_cap : RCPTS_FIRST_CAP;
  struct envelope_rcpt *rcpts = realloc(e->rcpts, cap * sizeof *rcpts);

  if (!rcpts) {
    return -1;
  }
  e->rcpts = rcpts;
  e->rcpt_cap = cap;
  return 0;
}

int envelope_add_rcpt(struct envelope *e, const char *address, int notify, const char *orcpt)
{
  if (e->rcpt_count >= ENVELOPE_RCPTS_MAX) {
    errno = EMSGSIZE;
    return -1;
  }
  struct envelope_rcpt r = {.notify = notify};
  if (e->rcpt_count == e->rcpt_cap && grow(e) < 0) {
    goto nomem;
  }
  r.address = strdup(address);
  r.orcpt = strdup(orcpt);
  if (!r.address || !r.orcpt) {
    goto nomem;
  }
  e->rcpts[e->rcpt_count++] = r;
  return 0;

nomem:
  free(r.address);
  free(r.orcpt);
  errno = ENOMEM;
  return -1;
}

static int encode_head(const struct envelope *e, struct buf *out)
{
  /* The order of envelope.h. */
  const char *strings[] = {ENVELOPE_VERSION, e->id,     e->sender, e->tenant,
                           e->source,        e->client, e->helo,   e->auth};

  for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
    if (netstring_put_str(out, strings[i]) < 0) {
      return -1;
    }
  }
  if (netstring_put_u64(out, (uint64_t)e->flags) < 0 ||
      netstring_put_u64(out, (uint64_t)e->ret) < 0 || netstring_put_str(out, e->envid) < 0 ||
      netstring_put_u64(out, (uint64_t)e->priority) < 0 || netstring_put_u64(out, e->through) < 0 ||
      netstring_put_u64(out, (uint64_t)e->arrival) < 0 ||
      netstring_put_str(out, e->destination) < 0) {
    return -1;
  }
  return netstring_put_u64(out, e->rcpt_count);
}

int envelope_encode(const struct envelope *e, struct buf *out)
{
  size_t before = out->len;

  if (encode_head(e, out) < 0) {
    goto undo;
  }
  for (uint32_t i = 0; i < e->rcpt_count; i++) {
    const struct envelope_rcpt *r = &e->rcpts[i];
    if (netstring_put_str(out, r->address) < 0 || netstring_put_u64(out, (uint64_t)r->notify) < 0 ||
        netstring_put_str(out, r->orcpt) < 0) {
      goto undo;
    }
  }
  return 0;

undo:
  out->len = before;
  return -1;
}

/* Every byte from low to 0x7e, or 0x80 and up if high_allowed. */
static bool printable(const char *s, size_t len, unsigned char low, bool high_allowed)
{
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c < low || c == 0x7f || (c >= 0x80 && !high_allowed)) {
      return false;
    }
  }
  return true;
}

bool envelope_tenant_valid(const char *s, size_t len)
{
  return len > 0 && len < ENVELOPE_TENANT_SIZE && printable(s, len, '!', false);
}

bool envelope_source_valid(const char *s, size_t len)
{
  return len > 0 && len < ENVELOPE_SOURCE_SIZE && printable(s, len, '!', false);
}

/* "ADDRESS PORT"; whether we may go there relay-smtpd has seen to. */
static bool destination_valid(const char *s)
{
  const char *space = strchr(s, ' ');
  struct ip ip;
  uint64_t port;

  if (!*s) {
    return true;
  }
  return space && ip_parse(s, (size_t)(space - s), &ip) == 0 &&
         scan_u64(space + 1, strlen(space + 1), 65535, &port) == 0 && port > 0;
}

static int get_int(struct netstring_reader *r, int max)
{
  uint64_t value;

  netstring_get_u64(r, (uint64_t)max, &value); /* 0, and r is bad, if there is none */
  return (int)value;
}

/* Fills e up to the recipients; their count, or 0 if anything is wrong. */
static uint32_t decode_head(struct envelope *e, struct netstring_reader *r)
{
  char version[sizeof ENVELOPE_VERSION], sender[ADDRESS_SIZE];
  uint64_t through, arrival, count;

  netstring_get_str(r, version, sizeof version);
  netstring_get_str(r, e->id, sizeof e->id);
  netstring_get_str(r, sender, sizeof sender);
  netstring_get_str(r, e->tenant, sizeof e->tenant);
  netstring_get_str(r, e->source, sizeof e->source);
  netstring_get_str(r, e->client, sizeof e->client);
  netstring_get_str(r, e->helo, sizeof e->helo);
  netstring_get_str(r, e->auth, sizeof e->auth);
  e->flags = get_int(r, FLAGS_ALL);
  e->ret = get_int(r, ENVELOPE_RET_HDRS);
  netstring_get_str(r, e->envid, sizeof e->envid);
  e->priority = get_int(r, PRIORITY_MAX);
  netstring_get_u64(r, THROUGH_MAX, &through);
  netstring_get_u64(r, INT64_MAX, &arrival);
  netstring_get_str(r, e->destination, sizeof e->destination);
  netstring_get_u64(r, ENVELOPE_RCPTS_MAX, &count);
  if (r->bad || strcmp(version, ENVELOPE_VERSION) != 0) {
    return 0;
  }
  e->through = (uint32_t)through;
  e->arrival = (int64_t)arrival;

  bool utf8 = e->flags & ENVELOPE_SMTPUTF8;
  bool good =
    id_valid(e->id, strlen(e->id)) && envelope_tenant_valid(e->tenant, strlen(e->tenant)) &&
    (!*e->source || envelope_source_valid(e->source, strlen(e->source))) &&
    printable(e->client, strlen(e->client), ' ', false) &&
    printable(e->helo, strlen(e->helo), ' ', true) &&
    printable(e->auth, strlen(e->auth), ' ', true) &&
    address_xtext_valid(e->envid, strlen(e->envid)) && destination_valid(e->destination) &&
    (!*sender || address_parse(sender, strlen(sender), utf8, e->sender) == ADDRESS_OK);
  return good ? (uint32_t)count : 0;
}

static int decode_rcpt(struct envelope *e, struct netstring_reader *r)
{
  char address[ADDRESS_SIZE], checked[ADDRESS_SIZE], orcpt[ENVELOPE_ORCPT_SIZE];
  bool utf8 = e->flags & ENVELOPE_SMTPUTF8;

  netstring_get_str(r, address, sizeof address);
  int notify = get_int(r, NOTIFY_ALL);
  netstring_get_str(r, orcpt, sizeof orcpt);
  errno = EINVAL;
  if (r->bad || address_parse(address, strlen(address), utf8, checked) != ADDRESS_OK) {
    return -1;
  }
  /* RFC 3461 4.1: NEVER stands alone. */
  if ((notify & ENVELOPE_NOTIFY_NEVER) && notify != ENVELOPE_NOTIFY_NEVER) {
    return -1;
  }
  /* RFC 6533 3: with SMTPUTF8 an address of type utf-8 may be raw UTF-8. */
  if (!printable(orcpt, strlen(orcpt), '!', utf8) || !scan_utf8_valid(orcpt, strlen(orcpt))) {
    return -1;
  }
  return envelope_add_rcpt(e, checked, notify, orcpt);
}

int envelope_decode(struct envelope *e, const char *data, size_t len)
{
  struct netstring_reader r;

  envelope_reset(e);
  netstring_open(&r, data, len);
  uint32_t count = decode_head(e, &r);
  int why = EINVAL;
  if (count == 0) { /* also: an envelope to nobody is none */
    goto fail;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (decode_rcpt(e, &r) < 0) {
      why = errno;
      goto fail;
    }
  }
  if (netstring_end(&r) == 0) {
    return 0;
  }

fail:
  envelope_reset(e);
  errno = why;
  return -1;
}
