/* The header of a message handed to sendmail. See inject_headers.h. */
#include "inject_headers.h"

#include "clock.h"
#include "inject_address.h"
#include "scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
  FIELD_DROP = 1,      /* never leaves */
  FIELD_ADDRESSES = 2, /* an address list: names get a domain */
  FIELD_RCPTS = 4,     /* with -t names recipients */
  FIELD_RESENT = 8,    /* the same, and then only those of its kind do */
  FIELD_DATE = 16,
  FIELD_MESSAGE_ID = 32,
  FIELD_FROM = 64
};

static const struct {
  const char *name;
  int kind;
} known[] = {
  {"Bcc", FIELD_DROP | FIELD_RCPTS},
  {"Cc", FIELD_ADDRESSES | FIELD_RCPTS},
  {"Content-Length", FIELD_DROP}, /* wrong as soon as anything is changed */
  {"Date", FIELD_DATE},
  {"From", FIELD_ADDRESSES | FIELD_FROM},
  {"Message-ID", FIELD_MESSAGE_ID},
  {"Reply-To", FIELD_ADDRESSES},
  {"Resent-Bcc", FIELD_DROP | FIELD_RESENT},
  {"Resent-Cc", FIELD_ADDRESSES | FIELD_RESENT},
  {"Resent-From", FIELD_ADDRESSES},
  {"Resent-Sender", FIELD_ADDRESSES},
  {"Resent-To", FIELD_ADDRESSES | FIELD_RESENT},
  {"Return-Path", FIELD_DROP}, /* whoever delivers at last writes it (RFC 5321 4.4) */
  {"Sender", FIELD_ADDRESSES},
  {"To", FIELD_ADDRESSES | FIELD_RCPTS},
};

struct field {
  const char *line; /* its name begins here */
  size_t name_len;
  const char *value; /* behind the colon, up to its last line's CRLF */
  size_t value_len;
  size_t len; /* all of it */
  int kind;
};

static char problem[200];

static int kind_of(const char *name, size_t len)
{
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (scan_case_equal(name, len, known[i].name, strlen(known[i].name))) {
      return known[i].kind;
    }
  }
  return 0;
}

/* The length of the line at s with its LF, 0 if it has none. */
static size_t line_length(const char *s, size_t len)
{
  const char *newline = memchr(s, '\n', len);

  return newline ? (size_t)(newline - s) + 1 : 0;
}

/* false: no field begins here. */
static bool next_field(const char *s, size_t len, struct field *f)
{
  size_t n = 0, colon;

  while (n < len && s[n] > ' ' && s[n] <= '~' && s[n] != ':') {
    n++;
  }
  for (colon = n; colon < len && (s[colon] == ' ' || s[colon] == '\t'); colon++) {
  }
  if (n == 0 || colon >= len || s[colon] != ':') {
    return false;
  }
  size_t end = line_length(s, len);
  if (end == 0) {
    return false;
  }
  while (end < len && (s[end] == ' ' || s[end] == '\t')) {
    size_t more = line_length(s + end, len - end);
    if (more == 0) {
      return false;
    }
    end += more;
  }
  *f = (struct field){.line = s, .name_len = n, .value = s + colon + 1, .len = end};
  f->value_len = end - 1 - (colon + 1);
  if (f->value_len > 0 && f->value[f->value_len - 1] == '\r') {
    f->value_len--;
  }
  f->kind = kind_of(s, n);
  return true;
}

int inject_add_rcpt(struct envelope *e, const char *address)
{
  for (uint32_t i = 0; i < e->rcpt_count; i++) {
    if (strcmp(e->rcpts[i].address, address) == 0) {
      return 0;
    }
  }
  return envelope_add_rcpt(e, address, 0, "");
}

/* What happens to the addresses of one field. */
struct address_work {
  const char *value;
  const char *default_domain;
  struct envelope *rcpts; /* NULL: they are no recipients */
  struct buf *out;        /* NULL: the field is dropped */
  size_t copied;          /* of value */
};

static int take_address(void *arg, const char *address, size_t end)
{
  struct address_work *w = arg;

  if (w->rcpts && inject_add_rcpt(w->rcpts, address) < 0) {
    return errno == EMSGSIZE ? 1 : 2;
  }
  if (w->out && end > 0) {
    if (buf_append(w->out, w->value + w->copied, end - w->copied) < 0 ||
        buf_printf(w->out, "@%s", w->default_domain) < 0) {
      return 2;
    }
    w->copied = end;
  }
  return 0;
}

static int describe(const struct field *f, int result, const char *reason, const char **why)
{
  if (result == 1) {
    snprintf(problem, sizeof problem, "more than %d recipients", ENVELOPE_RCPTS_MAX);
  } else if (result == 2) {
    snprintf(problem, sizeof problem, "out of memory");
  } else {
    snprintf(problem, sizeof problem, "the %.*s field cannot be understood: %s",
             (int)(f->name_len < 40 ? f->name_len : 40), f->line, reason);
  }
  *why = problem;
  return -1;
}

/* A field with addresses. One that is malformed matters only if mail is to go there. */
static int put_addresses(struct inject_headers *h, const struct field *f,
                         const char *default_domain, struct envelope *rcpts, const char **why)
{
  size_t before = h->out.len;
  struct address_work w = {.value = f->value,
                           .default_domain = default_domain,
                           .rcpts = rcpts,
                           .out = f->kind & FIELD_DROP ? NULL : &h->out};
  const char *reason = "";

  if (w.out && buf_append(&h->out, f->line, (size_t)(f->value - f->line)) < 0) {
    return describe(f, 2, reason, why);
  }
  int result =
    inject_address_list(f->value, f->value_len, default_domain, take_address, &w, &reason);
  if (result > 0 || (result < 0 && rcpts)) {
    return describe(f, result, reason, why);
  }
  if (!w.out) {
    return 0;
  }
  if (result < 0) { /* goes as it came */
    h->out.len = before;
    return buf_append(&h->out, f->line, f->len) < 0 ? describe(f, 2, reason, why) : 0;
  }
  const char *end = f->line + f->len, *rest = f->value + w.copied;
  return buf_append(&h->out, rest, (size_t)(end - rest)) < 0 ? describe(f, 2, reason, why) : 0;
}

/* The beginning of the header: behind a "From " line of mbox. */
static size_t skip_mbox_line(const char *head, size_t len)
{
  bool mbox =
    (len > 5 && memcmp(head, "From ", 5) == 0) || (len > 6 && memcmp(head, ">From ", 6) == 0);

  return mbox ? line_length(head, len) : 0;
}

/* FIELD_RESENT if there is a Resent-To, -Cc or -Bcc: then only these count (RFC 5322 3.6.6). */
static int which_rcpts(const char *head, size_t len)
{
  struct field f;

  for (size_t at = skip_mbox_line(head, len); next_field(head + at, len - at, &f); at += f.len) {
    if (f.kind & FIELD_RESENT) {
      return FIELD_RESENT;
    }
  }
  return FIELD_RCPTS;
}

static int put_missing(struct inject_headers *h, int seen, const struct inject_writer *who)
{
  char date[CLOCK_RFC5322_SIZE];
  int bad = 0;

  clock_format_rfc5322(who->now, date);
  if (!(seen & FIELD_DATE)) {
    bad |= buf_printf(&h->out, "Date: %s\r\n", date);
  }
  if (!(seen & FIELD_MESSAGE_ID)) {
    bad |= buf_printf(&h->out, "Message-ID: <%s@%s>\r\n", who->id, who->me);
  }
  if (!(seen & FIELD_FROM)) {
    bad |= buf_append_str(&h->out, "From: ");
    size_t before = h->out.len;
    bad |= inject_put_phrase(&h->out, who->full_name);
    bad |= h->out.len > before ? buf_printf(&h->out, " <%s>\r\n", who->from)
                               : buf_printf(&h->out, "%s\r\n", who->from);
  }
  return bad;
}

int inject_headers_make(struct inject_headers *h, const char *head, size_t len,
                        const struct inject_writer *who, struct envelope *rcpts, const char **why)
{
  int seen = 0, wanted = rcpts ? which_rcpts(head, len) : 0;
  size_t at = skip_mbox_line(head, len);
  struct field f = {.line = "", .len = 0};

  buf_init(&h->out, 2 * len + 4096 + ENVELOPE_RCPTS_MAX * (ADDRESS_DOMAIN_MAX + 1));
  for (; next_field(head + at, len - at, &f); at += f.len) {
    seen |= f.kind;
    if (f.kind & (FIELD_ADDRESSES | FIELD_RCPTS | FIELD_RESENT)) {
      if (put_addresses(h, &f, who->default_domain, f.kind & wanted ? rcpts : NULL, why) < 0) {
        return -1;
      }
    } else if (!(f.kind & FIELD_DROP) && buf_append(&h->out, f.line, f.len) < 0) {
      return describe(&f, 2, "", why);
    }
  }
  if (put_missing(h, seen, who) < 0 || buf_append_str(&h->out, "\r\n") < 0) {
    return describe(&f, 2, "", why);
  }
  /* Without an empty line the body begins at the first line that is no field. */
  h->body = at + (len - at >= 2 && memcmp(head + at, "\r\n", 2) == 0 ? 2 : 0);
  h->utf8 = !scan_ascii_only(h->out.data, h->out.len) && scan_utf8_valid(h->out.data, h->out.len);
  return 0;
}
