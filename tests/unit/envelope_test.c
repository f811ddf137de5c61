/*
 * The envelope: what is encoded decodes equal, every truncation fails, every
 * bad field fails by itself, and mutations never crash the decoder nor get
 * anything through it that would not survive being encoded again.
 */
#include "envelope.h"
#include "check.h"
#include "netstring.h"

#include <errno.h>
#include <stdlib.h>

#define MUTATIONS 200000
#define E_ACUTE "\xc3\xa9"

static uint64_t state = 88172645463325252u;

static uint32_t any(uint32_t below)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % below;
}

static void fill(struct envelope *e)
{
  envelope_reset(e);
  strcpy(e->id, "0123456789ABCDEF");
  strcpy(e->sender, "\"a b\"@example.com");
  strcpy(e->tenant, "msa1");
  strcpy(e->source, "out3");
  strcpy(e->client, "uid 1000");
  strcpy(e->helo, "mail.example.com");
  strcpy(e->auth, "john");
  e->flags = ENVELOPE_8BITMIME | ENVELOPE_SMTPUTF8;
  e->ret = ENVELOPE_RET_HDRS;
  strcpy(e->envid, "QQ+2B1");
  e->priority = 99;
  e->through = ENVELOPE_THROUGH_ONLY + 120;
  e->arrival = 1735689600123;
  strcpy(e->destination, "2001:db8::1 25");
  CHECK_INT(envelope_add_rcpt(e, "a..b@docomo.ne.jp", 0, ""), 0);
  CHECK_INT(envelope_add_rcpt(e, E_ACUTE "@example.org", ENVELOPE_NOTIFY_NEVER,
                              "utf-8;" E_ACUTE "@example.org"), 0);
  CHECK_INT(envelope_add_rcpt(e, "c@[192.0.2.1]", 14, "rfc822;c@example.org"), 0);
}

static bool equal(const struct envelope *a, const struct envelope *b)
{
  bool same = !strcmp(a->id, b->id) && !strcmp(a->sender, b->sender) &&
              !strcmp(a->tenant, b->tenant) && !strcmp(a->source, b->source) &&
              !strcmp(a->client, b->client) && !strcmp(a->helo, b->helo) &&
              !strcmp(a->auth, b->auth) && a->flags == b->flags && a->ret == b->ret &&
              !strcmp(a->envid, b->envid) && a->priority == b->priority &&
              a->through == b->through && a->arrival == b->arrival &&
              !strcmp(a->destination, b->destination) && a->rcpt_count == b->rcpt_count;

  for (uint32_t i = 0; same && i < a->rcpt_count; i++) {
    same = !strcmp(a->rcpts[i].address, b->rcpts[i].address) &&
           !strcmp(a->rcpts[i].orcpt, b->rcpts[i].orcpt) &&
           a->rcpts[i].notify == b->rcpts[i].notify;
  }
  return same;
}

/* In memory of its exact size, so that ASan sees a read behind it. */
static int decode_exact(struct envelope *e, const char *data, size_t len)
{
  char *copy = malloc(len ? len : 1);

  if (!copy) {
    abort();
  }
  memcpy(copy, data, len);
  errno = 0;
  int result = envelope_decode(e, copy, len);
  free(copy);
  return result;
}

static void test_round(void)
{
  struct envelope e, back;
  struct buf b = BUF_INIT(ENVELOPE_MAX);
  int wrong = 0;

  envelope_init(&e);
  envelope_init(&back);
  CHECK_INT(e.priority, ENVELOPE_PRIORITY_DEFAULT);
  fill(&e);
  CHECK_INT(envelope_encode(&e, &b), 0);
  CHECK_INT(decode_exact(&back, b.data, b.len), 0);
  CHECK(equal(&e, &back));
  for (size_t len = 0; len < b.len; len++) {
    wrong += decode_exact(&back, b.data, len) != -1 || errno != EINVAL;
    wrong += back.rcpt_count != 0 || back.id[0] || back.sender[0];
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(buf_append_char(&b, ','), 0);
  CHECK_INT(decode_exact(&back, b.data, b.len), -1);

  struct buf small = BUF_INIT(200); /* not enough: nothing is left behind */
  CHECK_INT(buf_append_str(&small, "x"), 0);
  CHECK_INT(envelope_encode(&e, &small), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_STR(buf_cstr(&small), "x");
  buf_free(&small);

  envelope_reset(&e);
  CHECK(e.rcpt_count == 0 && !e.id[0] && e.priority == ENVELOPE_PRIORITY_DEFAULT);
  envelope_free(&e);
  envelope_free(&back);
  buf_free(&b);
}

/* As fields: envelope.h's order. */
enum { VERSION, ID, SENDER, TENANT, SOURCE, CLIENT, HELO, AUTH, FLAGS, RET, ENVID, PRIORITY,
       THROUGH, ARRIVAL, DESTINATION, NRCPTS, ADDRESS, NOTIFY, ORCPT, FIELDS };

static const char *const good[FIELDS] = {
    "1", "0123456789ABCDEF", "s@x", "t", "", "192.0.2.1", "h", "", "0", "0", "", "50",
    "0", "0", "", "1", "r@x", "0", ""};

#define S16 "ssssssssssssssss"
#define S64 S16 S16 S16 S16

static const struct {
  int field;
  const char *value;
  bool valid;
} field_cases[] = {
    {VERSION, "1", true},
    {VERSION, "2", false},
    {VERSION, "", false},
    {VERSION, "11", false},
    {ID, "0123456789ABCDE", false},
    {ID, "0123456789ABCDEF0", false},
    {ID, "0123456789abcdef", false},
    {SENDER, "", true},
    {SENDER, "s", true},
    {SENDER, "<s@x>", false},
    {SENDER, "s@x y", false},
    {SENDER, "s@x\r\nDATA", false},
    {SENDER, E_ACUTE "@x", false},
    {TENANT, "", false},
    {TENANT, "a b", false},
    {TENANT, "a\n", false},
    {TENANT, "local:1000", true},
    {TENANT, "2001:db8::/64", true},
    {TENANT, E_ACUTE, false},
    {TENANT, S64, true},
    {TENANT, S64 "s", false},
    {SOURCE, "out 1", false},
    {SOURCE, "out\x1b", false},
    {SOURCE, S64, true},
    {CLIENT, "", true},
    {CLIENT, "uid 0", true},
    {CLIENT, "1.2.3.4\n", false},
    {CLIENT, S64, false},
    {HELO, "", true},
    {HELO, "[192.0.2.1]", true},
    {HELO, "a\tb", false},
    {HELO, "a\x7f", false},
    {HELO, "a\r\nX: y", false},
    {HELO, S64 S64 S64 S64, false},
    {AUTH, "john@example.com", true},
    {AUTH, "john\x01", false},
    {FLAGS, "7", true},
    {FLAGS, "16", false},
    {FLAGS, "-1", false},
    {FLAGS, "", false},
    {RET, "2", true},
    {RET, "3", false},
    {ENVID, "a+2B", true},
    {ENVID, "a b", false},
    {ENVID, "a=b", false},
    {ENVID, S64 S16 S16 "ssss", true},
    {ENVID, S64 S16 S16 "sssss", false},
    {PRIORITY, "0", true},
    {PRIORITY, "99", true},
    {PRIORITY, "100", false},
    {THROUGH, "2147483647", true},
    {THROUGH, "2147483648", false},
    {ARRIVAL, "9223372036854775807", true},
    {ARRIVAL, "9223372036854775808", false},
    {DESTINATION, "192.0.2.1 25", true},
    {DESTINATION, "::1 65535", true},
    {DESTINATION, "192.0.2.1", false},
    {DESTINATION, "192.0.2.1 0", false},
    {DESTINATION, "192.0.2.1 65536", false},
    {DESTINATION, "192.0.2.1 25 ", false},
    {DESTINATION, "192.0.2.1  25", false},
    {DESTINATION, "mx.example.com 25", false},
    {DESTINATION, "[192.0.2.1] 25", false},
    {DESTINATION, " 25", false},
    {NRCPTS, "0", false},
    {NRCPTS, "2", false},
    {NRCPTS, "1001", false},
    {NRCPTS, "", false},
    {ADDRESS, "", false},
    {ADDRESS, "r", true},
    {ADDRESS, "r@x>", false},
    {ADDRESS, "r@" E_ACUTE, false},
    {ADDRESS, "\"r\x01\"@x", false},
    {ADDRESS, S64 "s@x", false},
    {NOTIFY, "1", true},
    {NOTIFY, "14", true},
    {NOTIFY, "3", false},
    {NOTIFY, "5", false},
    {NOTIFY, "9", false},
    {NOTIFY, "15", false},
    {NOTIFY, "16", false},
    {ORCPT, "rfc822;r+2Bs@x", true},
    {ORCPT, "rfc822;r x", false},
    {ORCPT, "rfc822;r\n", false},
    {ORCPT, "utf-8;" E_ACUTE, false},
};

static int decode_fields(struct envelope *e, const char *const fields[FIELDS])
{
  struct buf b = BUF_INIT(ENVELOPE_MAX);

  for (int i = 0; i < FIELDS; i++) {
    CHECK_INT(netstring_put_str(&b, fields[i]), 0);
  }
  int result = decode_exact(e, b.data, b.len);
  buf_free(&b);
  return result;
}

static void test_fields(void)
{
  struct envelope e;
  const char *fields[FIELDS];

  envelope_init(&e);
  CHECK_INT(decode_fields(&e, good), 0);
  for (size_t i = 0; i < sizeof field_cases / sizeof *field_cases; i++) {
    int before = check_failed;
    memcpy(fields, good, sizeof fields);
    fields[field_cases[i].field] = field_cases[i].value;
    CHECK_INT(decode_fields(&e, fields), field_cases[i].valid ? 0 : -1);
    CHECK(field_cases[i].valid || errno == EINVAL);
    CHECK_INT(e.rcpt_count, field_cases[i].valid ? 1 : 0);
    if (check_failed != before) {
      fprintf(stderr, "  that was field %d, \"%s\"\n", field_cases[i].field,
              field_cases[i].value);
    }
  }
  /* With SMTPUTF8 the same bytes are good, unless they are not UTF-8. */
  memcpy(fields, good, sizeof fields);
  fields[FLAGS] = "2";
  fields[SENDER] = E_ACUTE "@x";
  fields[ADDRESS] = "r@" E_ACUTE;
  fields[ORCPT] = "utf-8;" E_ACUTE;
  CHECK_INT(decode_fields(&e, fields), 0);
  fields[ORCPT] = "utf-8;\xc3";
  CHECK_INT(decode_fields(&e, fields), -1);
  fields[ORCPT] = "";
  fields[ADDRESS] = "\xe9@x";
  CHECK_INT(decode_fields(&e, fields), -1);
  /* What comes out is in its plain form. */
  fields[ADDRESS] = "\"r\"@X.";
  CHECK_INT(decode_fields(&e, fields), 0);
  CHECK_STR(e.rcpts[0].address, "r@x");
  envelope_free(&e);
}

static void test_most_rcpts(void)
{
  struct envelope e, back;
  struct buf b = BUF_INIT(ENVELOPE_MAX);
  char address[ADDRESS_SIZE], orcpt[ENVELOPE_ORCPT_SIZE];
  int wrong = 0;

  memset(address, 'a', ADDRESS_MAX);
  address[ADDRESS_LOCAL_MAX] = '@';
  for (int i = ADDRESS_LOCAL_MAX + 60; i < ADDRESS_MAX; i += 60) {
    address[i] = '.';
  }
  address[ADDRESS_MAX] = '\0';
  memset(orcpt, 'o', sizeof orcpt - 1);
  orcpt[sizeof orcpt - 1] = '\0';
  envelope_init(&e);
  envelope_init(&back);
  fill(&e);
  while (e.rcpt_count < ENVELOPE_RCPTS_MAX) {
    wrong += envelope_add_rcpt(&e, address, 2, orcpt) != 0;
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(envelope_add_rcpt(&e, address, 2, orcpt), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_INT(envelope_encode(&e, &b), 0); /* ENVELOPE_MAX is enough */
  CHECK_INT(decode_exact(&back, b.data, b.len), 0);
  CHECK(equal(&e, &back));
  envelope_free(&e);
  envelope_free(&back);
  buf_free(&b);
}

static size_t mutate(char *data, size_t len, size_t size)
{
  for (uint32_t n = any(4) + 1; n > 0 && len > 1; n--) {
    size_t at = any((uint32_t)len), other = any((uint32_t)len);
    switch (any(6)) {
    case 0:
      data[at] = (char)any(256);
      break;
    case 1:
      data[at] ^= (char)(1 << any(8));
      break;
    case 2:
      data[at] = "0123456789:,@\"\\.<[ ;"[any(20)];
      break;
    case 3:
      data[at] = data[other];
      break;
    case 4: /* a byte goes */
      memmove(data + at, data + at + 1, --len - at);
      break;
    default: /* a byte comes */
      if (len < size) {
        memmove(data + at + 1, data + at, len++ - at);
      }
    }
  }
  return len;
}

static void test_mutations(void)
{
  struct envelope e, back;
  struct buf b = BUF_INIT(ENVELOPE_MAX), again = BUF_INIT(ENVELOPE_MAX);
  char data[1024];
  int wrong = 0, decoded = 0;

  envelope_init(&e);
  envelope_init(&back);
  fill(&e);
  CHECK_INT(envelope_encode(&e, &b), 0);
  for (int i = 0; i < MUTATIONS; i++) {
    memcpy(data, b.data, b.len);
    size_t len = mutate(data, b.len, sizeof data);
    if (decode_exact(&e, data, len) < 0) {
      wrong += errno != EINVAL || e.rcpt_count != 0;
      continue;
    }
    decoded++;
    buf_reset(&again);
    wrong += envelope_encode(&e, &again) != 0;
    wrong += decode_exact(&back, again.data, again.len) != 0 || !equal(&e, &back);
  }
  CHECK_INT(wrong, 0);
  CHECK(decoded > MUTATIONS / 100 && decoded < MUTATIONS / 2); /* both ways were tried */
  envelope_free(&e);
  envelope_free(&back);
  buf_free(&b);
  buf_free(&again);
}

int main(void)
{
  test_round();
  test_fields();
  test_most_rcpts();
  test_mutations();
  return check_done("envelope");
}
