#include "certificate.h"

#include "check.h"

#include <stdlib.h>

/* DER, put together from the inside out. */
struct bytes {
  unsigned char data[4096];
  size_t len;
};

static struct bytes element(unsigned char tag, const struct bytes *parts, size_t count)
{
  struct bytes out = {.len = 0};
  size_t len = 0;

  for (size_t i = 0; i < count; i++) {
    len += parts[i].len;
  }
  out.data[out.len++] = tag;
  if (len < 128) {
    out.data[out.len++] = (unsigned char)len;
  } else {
    out.data[out.len++] = 0x82;
    out.data[out.len++] = (unsigned char)(len >> 8);
    out.data[out.len++] = (unsigned char)len;
  }
  for (size_t i = 0; i < count; i++) {
    memcpy(out.data + out.len, parts[i].data, parts[i].len);
    out.len += parts[i].len;
  }
  return out;
}

static struct bytes text(unsigned char tag, const char *s)
{
  struct bytes inside = {.len = strlen(s)};

  memcpy(inside.data, s, inside.len);
  return element(tag, &inside, 1);
}

#define LIST(...)                                                                                  \
  (struct bytes[]){__VA_ARGS__}, sizeof((struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes)

static struct bytes name_of(const char *cn)
{
  struct bytes pair = element(0x30, LIST(text(0x06, "\x55\x04\x03"), text(0x0c, cn)));
  struct bytes set = element(0x31, &pair, 1);

  return element(0x30, &set, 1);
}

static struct bytes extension(const char *oid, bool critical, const struct bytes *value)
{
  struct bytes octets = element(0x04, value, 1);

  return critical ? element(0x30, LIST(text(0x06, oid), text(0x01, "\xff"), octets))
                  : element(0x30, LIST(text(0x06, oid), octets));
}

static struct bytes certificate(const struct bytes *extensions, size_t count, const char *until)
{
  struct bytes version = text(0x02, "\x02"),
               algorithm = element(0x30, LIST(text(0x06, "\x2a\x03")));
  struct bytes list = element(0x30, extensions, count);
  struct bytes validity =
    element(0x30, LIST(text(0x17, "250102030405Z"), text(until[13] ? 0x18 : 0x17, until)));
  struct bytes key = element(0x30, LIST(algorithm, text(0x03, "key")));
  struct bytes tbs = element(0x30, LIST(element(0xa0, &version, 1), text(0x02, "\x01"), algorithm,
                                        name_of("issuer \x01"), validity, name_of("subject"), key,
                                        element(0xa3, &list, 1)));

  return element(0x30, LIST(tbs, algorithm, text(0x03, "signature")));
}

static struct bytes with_names(const struct bytes *names, size_t count)
{
  struct bytes list = element(0x30, names, count);
  struct bytes extensions[] = {extension("\x55\x1d\x0f", true, &list),
                               extension("\x55\x1d\x11", false, &list)};

  return certificate(extensions, 2, "20600102030405Z");
}

static void test_read(void)
{
  struct bytes b =
    with_names(LIST(text(0x82, "mx.a.test"), text(0x81, "mail@b.test"), text(0x82, "*.c.test")));
  struct bytes old = certificate(LIST(extension("\x55\x1d\x1e", false, &b)), "490102030405Z");
  struct certificate c;
  char out[100];

  CHECK_INT(certificate_read(b.data, b.len, &c), 0);
  CHECK_INT(c.whole.len, b.len);
  CHECK(c.key.len > 2 && memcmp(c.key.data + c.key.len - 3, "key", 3) == 0);
  CHECK_STR(c.not_before, "2025-01-02");
  CHECK_STR(c.not_after, "2060-01-02");
  CHECK(!c.name_constraints);
  certificate_names(&c, out, sizeof out);
  CHECK_STR(out, "mx.a.test *.c.test");
  certificate_names(&c, out, 12);
  CHECK_STR(out, "mx.a.test");
  certificate_name_text(&c.issuer, out, sizeof out);
  CHECK_STR(out, "issuer \\x01");
  certificate_name_text(&c.subject, out, sizeof out);
  CHECK_STR(out, "subject");

  CHECK_INT(certificate_read(old.data, old.len, &c), 0);
  CHECK_STR(c.not_after, "2049-01-02");
  CHECK(c.name_constraints);
  certificate_names(&c, out, sizeof out);
  CHECK_STR(out, "");
  CHECK(!certificate_has_name(&c, "subject")); /* a common name is none */
}

static void test_names(void)
{
  static const struct {
    const char *reference;
    bool match;
  } wanted[] = {
    {"mx.a.test", true},   {"MX.A.Test", true}, {"a.test", false},       {"x.mx.a.test", false},
    {"one.c.test", true},  {"c.test", false},   {"x.one.c.test", false}, {".a.test", true},
    {".c.test", true},     {".test", true},     {".x.test", false},      {"", false},
    {".mx.a.test", false}, {"*.c.test", true},  {".one.c.test", false},  {"foo", false},
    {"cut", false},        {"m.d.test", false},
  };
  struct bytes nul = text(0x82, "cut"), b;
  struct certificate c;

  memcpy(nul.data + 2, "cu\0", 3); /* a NUL in a name: RFC 5280 has none, old attacks did */
  b = with_names(LIST(nul, text(0x82, "mx.a.test"), text(0x82, "*.c.test"), text(0x82, "m*.d.test"),
                      text(0x82, "")));
  CHECK_INT(certificate_read(b.data, b.len, &c), 0);
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    if (certificate_has_name(&c, wanted[i].reference) != wanted[i].match) {
      check_report(0, __FILE__, __LINE__, wanted[i].reference);
    }
    check_total++;
  }
}

/* Whatever is cut off or changed: an answer, and nothing read outside (the copy has its size). */
static void test_damage(void)
{
  struct bytes b = with_names(LIST(text(0x82, "mx.a.test")));
  struct certificate c;
  char out[100];

  for (size_t len = 0; len < b.len; len++) {
    unsigned char *copy = malloc(len ? len : 1);
    memcpy(copy, b.data, len);
    CHECK_INT(certificate_read(copy, len, &c), -1);
    free(copy);
  }
  for (size_t i = 0; i < b.len; i++) {
    struct bytes changed = b;
    changed.data[i] ^= 0x81;
    if (certificate_read(changed.data, changed.len, &c) == 0) {
      certificate_names(&c, out, sizeof out);
      certificate_has_name(&c, "mx.a.test");
      certificate_name_text(&c.issuer, out, sizeof out);
    }
  }
  b.data[b.len] = 0;
  CHECK_INT(certificate_read(b.data, b.len + 1, &c), -1); /* something behind it */
}

int main(void)
{
  test_read();
  test_names();
  test_damage();
  return check_done("remote_certificate");
}
