/* DER, as far as certificates need it. Lengths are checked in one place, der_take(). */
#include "certificate.h"

#include "escape.h"
#include "scan.h"

#include <stdio.h>
#include <string.h>

enum {
  DER_BOOLEAN = 0x01,
  DER_OCTETS = 0x04,
  DER_OID = 0x06,
  DER_UTC_TIME = 0x17,
  DER_GENERALIZED_TIME = 0x18,
  DER_SEQUENCE = 0x30,
  DER_SET = 0x31,
  DER_VERSION = 0xa0,    /* [0] of TBSCertificate */
  DER_EXTENSIONS = 0xa3, /* [3] */
  DER_DNS_NAME = 0x82    /* [2] of GeneralName */
};

#define NAME_SIZE 256

/* Takes the next element off in; its contents, and if whole is not NULL all of it. -1 at the end.
 */
static int der_take(struct der *in, unsigned *tag, struct der *content, struct der *whole)
{
  size_t len, head = 2, count;

  if (in->len < 2 || (in->data[0] & 0x1f) == 0x1f) {
    return -1; /* tags of more than a byte are nowhere in a certificate */
  }
  len = in->data[1];
  if (len & 0x80) {
    count = len & 0x7f;
    if (count == 0 || count > 3 || in->len < 2 + count) {
      return -1;
    }
    for (len = 0; head < 2 + count; head++) {
      len = len << 8 | in->data[head];
    }
  }
  if (len > in->len - head) {
    return -1;
  }
  *tag = in->data[0];
  *content = (struct der){in->data + head, len};
  if (whole) {
    *whole = (struct der){in->data, head + len};
  }
  in->data += head + len;
  in->len -= head + len;
  return 0;
}

static int der_expect(struct der *in, unsigned wanted, struct der *content, struct der *whole)
{
  unsigned tag;

  return der_take(in, &tag, content, whole) == 0 && tag == wanted ? 0 : -1;
}

/*
 * RFC 5280 4.1.2.5: YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, nothing else. The date
 * only: it is for people, and libc's calendar would open files.
 */
static int take_date(struct der *in, char out[CERTIFICATE_DATE_SIZE])
{
  const char *century, *s;
  struct der text;
  unsigned tag;

  if (der_take(in, &tag, &text, NULL) == -1 ||
      (tag != DER_UTC_TIME && tag != DER_GENERALIZED_TIME) ||
      text.len != (tag == DER_UTC_TIME ? 13 : 15) || text.data[text.len - 1] != 'Z' ||
      scan_digits((const char *)text.data, text.len) != text.len - 1) {
    return -1;
  }
  s = (const char *)text.data;
  century = s[0] < '5' ? "20" : "19";
  if (tag == DER_GENERALIZED_TIME) {
    century = s;
    s += 2;
  }
  snprintf(out, CERTIFICATE_DATE_SIZE, "%.2s%.2s-%.2s-%.2s", century, s, s + 2, s + 4);
  return 0;
}

static bool is_oid(const struct der *oid, unsigned char last)
{
  /* 2.5.29.x, certificate extensions */
  return oid->len == 3 && oid->data[0] == 0x55 && oid->data[1] == 0x1d && oid->data[2] == last;
}

static int take_extension(struct der *in, struct certificate *c)
{
  struct der extension, oid, value, list;
  unsigned tag;

  if (der_expect(in, DER_SEQUENCE, &extension, NULL) == -1 ||
      der_expect(&extension, DER_OID, &oid, NULL) == -1 ||
      der_take(&extension, &tag, &value, NULL) == -1 ||
      (tag == DER_BOOLEAN && der_take(&extension, &tag, &value, NULL) == -1) || tag != DER_OCTETS) {
    return -1;
  }
  if (is_oid(&oid, 17)) {
    if (der_expect(&value, DER_SEQUENCE, &list, NULL) == -1) {
      return -1;
    }
    c->alt_names = list;
  }
  c->name_constraints = c->name_constraints || is_oid(&oid, 30);
  return 0;
}

static int take_extensions(struct der *tbs, struct certificate *c)
{
  struct der content, list;
  unsigned tag;

  while (tbs->len > 0) {
    if (der_take(tbs, &tag, &content, NULL) == -1) {
      return -1;
    }
    if (tag != DER_EXTENSIONS) {
      continue; /* [1] and [2], unique identifiers */
    }
    if (der_expect(&content, DER_SEQUENCE, &list, NULL) == -1) {
      return -1;
    }
    while (list.len > 0) {
      if (take_extension(&list, c) == -1) {
        return -1;
      }
    }
  }
  return 0;
}

int certificate_read(const unsigned char *data, size_t len, struct certificate *c)
{
  struct der in = {data, len}, certificate, tbs, validity, skipped;
  unsigned tag;

  memset(c, 0, sizeof(*c));
  if (der_expect(&in, DER_SEQUENCE, &certificate, &c->whole) == -1 || in.len > 0 ||
      der_expect(&certificate, DER_SEQUENCE, &tbs, NULL) == -1 ||
      der_take(&tbs, &tag, &skipped, NULL) == -1 ||
      (tag == DER_VERSION && der_take(&tbs, &tag, &skipped, NULL) == -1) || /* the serial number */
      der_expect(&tbs, DER_SEQUENCE, &skipped, NULL) == -1 ||               /* the algorithm */
      der_expect(&tbs, DER_SEQUENCE, &skipped, &c->issuer) == -1 ||
      der_expect(&tbs, DER_SEQUENCE, &validity, NULL) == -1 ||
      take_date(&validity, c->not_before) == -1 || take_date(&validity, c->not_after) == -1 ||
      der_expect(&tbs, DER_SEQUENCE, &skipped, &c->subject) == -1 ||
      der_expect(&tbs, DER_SEQUENCE, &skipped, &c->key) == -1 || take_extensions(&tbs, c) == -1) {
    return -1;
  }
  return 0;
}

/* The next dNSName, as text; false at the end. One with a byte that no name has is passed over. */
static bool next_name(struct der *names, char name[NAME_SIZE])
{
  struct der content;
  unsigned tag;

  while (der_take(names, &tag, &content, NULL) == 0) {
    if (tag == DER_DNS_NAME && content.len > 0 && content.len < NAME_SIZE &&
        scan_ascii_only((const char *)content.data, content.len) &&
        !memchr(content.data, 0, content.len)) {
      memcpy(name, content.data, content.len);
      name[content.len] = 0;
      return true;
    }
  }
  return false;
}

static bool equal(const char *a, const char *b)
{
  return scan_case_equal(a, strlen(a), b, strlen(b));
}

static bool matches(const char *name, const char *reference)
{
  const char *dot = strchr(reference, '.');
  size_t len = strlen(name), tail = strlen(reference);

  if (*reference == '.') {
    /* A name below it, or a wildcard for such names. */
    return len > tail && equal(name + len - tail, reference);
  }
  if (name[0] == '*' && name[1] == '.') {
    return dot && dot > reference && equal(name + 1, dot);
  }
  return equal(name, reference);
}

bool certificate_has_name(const struct certificate *c, const char *reference)
{
  struct der names = c->alt_names;
  char name[NAME_SIZE];

  while (*reference && next_name(&names, name)) {
    if (matches(name, reference)) {
      return true;
    }
  }
  return false;
}

static void put_text(char *out, size_t size, size_t *at, const char *text, size_t len)
{
  size_t written;

  escape_text(text, len, out + *at, size - 1 - *at, &written);
  *at += written;
  out[*at] = 0;
}

void certificate_names(const struct certificate *c, char *out, size_t size)
{
  struct der names = c->alt_names;
  char name[NAME_SIZE];
  size_t at = 0;

  *out = 0;
  while (next_name(&names, name) && at + strlen(name) + 2 < size) {
    if (at > 0) {
      put_text(out, size, &at, " ", 1);
    }
    put_text(out, size, &at, name, strlen(name));
  }
}

/* The value of the last attribute 2.5.4.type in a Name, or nothing. */
static struct der attribute(const struct der *name, unsigned char type)
{
  struct der in = *name, list, set, pair, oid, value, found = {NULL, 0};
  unsigned tag;

  if (der_expect(&in, DER_SEQUENCE, &list, NULL) == -1) {
    return found;
  }
  while (der_expect(&list, DER_SET, &set, NULL) == 0) {
    while (der_expect(&set, DER_SEQUENCE, &pair, NULL) == 0) {
      if (der_expect(&pair, DER_OID, &oid, NULL) == 0 && der_take(&pair, &tag, &value, NULL) == 0 &&
          oid.len == 3 && oid.data[0] == 0x55 && oid.data[1] == 0x04 && oid.data[2] == type) {
        found = value;
      }
    }
  }
  return found;
}

void certificate_name_text(const struct der *name, char *out, size_t size)
{
  struct der text = attribute(name, 3); /* commonName */
  size_t at = 0;

  if (text.len == 0) {
    text = attribute(name, 10); /* organizationName */
  }
  *out = 0;
  put_text(out, size, &at, (const char *)text.data, text.len);
}
