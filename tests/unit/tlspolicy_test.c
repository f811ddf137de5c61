#include "tlspolicy.h"

#include "check.h"

#define PIN "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define COLONS                                                                                     \
  "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:"  \
  "FF"

static const struct {
  const char *line, *wrong;
} lines[] = {
  {"example.com:none", NULL},
  {"Example.org:encrypt", NULL},
  {".example.org:verify", NULL},
  {"mx.example.net:verify:mx:Domain:a.b:.c.d", NULL},
  {"[192.0.2.1]:none", NULL},
  {"[IPv6:2001:db8::1]:encrypt", NULL},
  {"pin.test:fingerprint:" PIN, NULL},
  {"pins.test:fingerprint:" COLONS ":" PIN, NULL},
  {"dane.test:DANE", NULL},
  {"only.test:dane:only", NULL},
  {"b\xc3\xbc"
   "cher.test:may",
   NULL},
  {":may", NULL},
  {"example.com:may", "this name has a line already"},
  {"example.com", "not NAME:POLICY[:ARGUMENTS]"},
  {"a b:may", "not a domain, a host name or .suffix before the first colon"},
  {".:may", "not a domain, a host name or .suffix before the first colon"},
  {"[192.0.2.1:may", "not a domain, a host name or .suffix before the first colon"},
  {"x.test:", "not none, may, encrypt, verify, fingerprint or dane after the name"},
  {"x.test:encrypted", "not none, may, encrypt, verify, fingerprint or dane after the name"},
  {"x.test:may:please", "this policy takes no such argument"},
  {"x.test:dane:maybe", "this policy takes no such argument"},
  {"x.test:verify:a_b", "not mx, domain, a host name or .suffix after verify"},
  {"x.test:verify::a", "not mx, domain, a host name or .suffix after verify"},
  {"x.test:verify:.", "not mx, domain, a host name or .suffix after verify"},
  {"x.test:fingerprint", "not SHA-256 fingerprints of 64 hexadecimal digits"},
  {"x.test:fingerprint:abcd", "not SHA-256 fingerprints of 64 hexadecimal digits"},
  {"x.test:fingerprint:sha256",
   "not SHA-256 fingerprints of 64 hexadecimal digits, or more than 16 of them"},
};

static void test_lines(void)
{
  static const struct {
    const char *domain, *mx;
    enum tls_kind kind;
  } wanted[] = {
    {"example.com", "mx.example.net", TLS_NONE}, /* the domain's line comes first */
    {"example.org", "", TLS_ENCRYPT},
    {"a.b.example.org", "mx.example.net", TLS_VERIFY},
    {"other.test", "mx.example.net", TLS_VERIFY},
    {"other.test", "mx.example.com", TLS_MAY},
    {"[192.0.2.1]", "", TLS_NONE},
    {"[192.0.2.2]", "", TLS_MAY},
    {"192.0.2.1 25", "", TLS_MAY}, /* transparent mode's destination */
    {"dane.test", "", TLS_DANE},
  };
  struct tlspolicies p;

  tlspolicy_init(&p);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    const char *wrong = tlspolicy_add(&p, lines[i].line);
    if (lines[i].wrong) {
      CHECK_STR(wrong, lines[i].wrong);
    } else {
      CHECK_STR(wrong ? wrong : "", "");
    }
  }
  CHECK(p.dane);
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    const struct tlspolicy *found = tlspolicy_find(&p, wanted[i].domain, wanted[i].mx);
    CHECK(found != NULL);
    CHECK_INT(found ? found->kind : 0, wanted[i].kind);
  }
  const struct tlspolicy *pins = tlspolicy_find(&p, "pins.test", "");
  CHECK_INT(pins->pins_len, 64);
  CHECK(memcmp(pins->pins, pins->pins + 32, 32) == 0);
  CHECK_INT(pins->pins[1], 0x11);
  CHECK_INT(pins->pins[31], 0xff);
  tlspolicy_free(&p);
}

static struct work_tls demand_of(const char *line, const struct tls_host *host)
{
  struct tlspolicies p;
  struct work_tls demand;

  tlspolicy_init(&p);
  CHECK(line == NULL || tlspolicy_add(&p, line) == NULL);
  tlspolicy_demand(tlspolicy_find(&p, host->domain, host->mx), host, &demand);
  tlspolicy_free(&p);
  return demand;
}

static void test_demands(void)
{
  struct tls_host host = {.domain = "d.test", .mx = "mx.test", .dane = DANE_UNASKED, .base = ""};
  struct tls_host address = {.domain = "[192.0.2.1]", .mx = "", .dane = DANE_UNASKED, .base = ""};
  struct work_tls t = demand_of(NULL, &host), u;

  CHECK_INT(t.kind, TLS_MAY);
  CHECK_STR(t.sni, "mx.test");
  CHECK_STR(t.names, "");
  t = demand_of(":verify", &host);
  CHECK_INT(t.kind, TLS_VERIFY);
  CHECK_STR(t.names, "mx.test");
  t = demand_of(":verify:domain:mx:.x.test:y.test", &host);
  CHECK_STR(t.names, "d.test mx.test .x.test y.test");
  t = demand_of(":verify", &address);
  CHECK_INT(t.kind, TLS_BARRED);
  t = demand_of(":verify:a.test", &address);
  CHECK_STR(t.names, "a.test");

  /* Equal demands have equal digests, whichever line made them; a name more makes another. */
  t = demand_of(":verify:mx", &host);
  u = demand_of("d.test:verify:mx.test", &host);
  CHECK(tlspolicy_digest(&t) == tlspolicy_digest(&u));
  host.mx = "mx2.test";
  u = demand_of(":verify:mx", &host);
  CHECK(tlspolicy_digest(&t) != tlspolicy_digest(&u));
  t = demand_of(":encrypt", &host);
  u = demand_of(":may", &host);
  CHECK(tlspolicy_digest(&t) != tlspolicy_digest(&u));
  t = demand_of(":fingerprint:" PIN, &host);
  u = demand_of(":fingerprint:" COLONS, &host);
  CHECK(tlspolicy_digest(&t) == tlspolicy_digest(&u));
}

static void test_dane(void)
{
  static const struct {
    enum dane_status status;
    enum tls_kind dane, only;
  } wanted[] = {
    {DANE_UNASKED, TLS_BARRED, TLS_BARRED},   {DANE_INSECURE, TLS_MAY, TLS_BARRED},
    {DANE_NONE, TLS_MAY, TLS_BARRED},         {DANE_RECORDS, TLS_DANE, TLS_DANE},
    {DANE_UNUSABLE, TLS_ENCRYPT, TLS_BARRED}, {DANE_FAILED, TLS_BARRED, TLS_BARRED},
    {DANE_REMOTE, TLS_BARRED, TLS_BARRED},
  };
  static const unsigned char records[35] = {3, 1, 1, 7};
  struct tls_host host = {.domain = "d.test",
                          .mx = "mx.test",
                          .base = "base.test",
                          .tlsa = records,
                          .tlsa_len = sizeof records};

  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    host.dane = wanted[i].status;
    struct work_tls t = demand_of(":dane", &host), u = demand_of(":dane:only", &host);
    CHECK_INT(t.kind, wanted[i].dane);
    CHECK_INT(u.kind, wanted[i].only);
    CHECK(t.kind != TLS_BARRED || *t.reason);
    CHECK(dane_valid((char)wanted[i].status));
  }
  host.dane = DANE_RECORDS;
  struct work_tls t = demand_of("mx.test:dane", &host);
  CHECK_STR(t.sni, "base.test");
  CHECK_STR(t.names, "base.test d.test");
  CHECK_INT(t.pins_len, 35);
  host.dane = DANE_NONE;
  struct work_tls u = demand_of(":dane", &host), may = demand_of(NULL, &host);
  CHECK(tlspolicy_digest(&u) == tlspolicy_digest(&may));
}

static void test_wire(void)
{
  static const unsigned char records[35] = {3, 1, 1, 7};
  struct tls_host host = {.domain = "d.test",
                          .mx = "mx.test",
                          .base = "base.test",
                          .dane = DANE_RECORDS,
                          .tlsa = records,
                          .tlsa_len = sizeof records};
  struct work_tls t = demand_of(":dane", &host), got;
  struct work_tls_result r = {
    .facts = "TLSv1.2,X,Y", .broken = "", .session = "\0s", .session_len = 2};
  struct work_tls_result back;
  struct netstring_reader reader;
  struct buf b = BUF_INIT(65536);

  t.session_len = 3;
  memcpy(t.session, "a\0b", 3);
  CHECK_INT(work_put_tls(&b, &t), 0);
  CHECK_INT(work_put_tls_result(&b, &r), 0);
  netstring_open(&reader, b.data, b.len);
  CHECK_INT(work_get_tls(&reader, &got), 0);
  CHECK_INT(work_get_tls_result(&reader, &back), 0);
  CHECK_INT(netstring_end(&reader), 0);
  CHECK(memcmp(&t, &got, sizeof t) == 0);
  CHECK(memcmp(&r, &back, sizeof r) == 0);

  /* Without anything that could match it is no demand. */
  t.pins_len = 0;
  buf_reset(&b);
  work_put_tls(&b, &t);
  netstring_open(&reader, b.data, b.len);
  CHECK_INT(work_get_tls(&reader, &got), -1);
  t.kind = TLS_MAY;
  buf_reset(&b);
  work_put_tls(&b, &t);
  netstring_open(&reader, b.data, b.len);
  CHECK_INT(work_get_tls(&reader, &got), 0);
  t.kind = 'q';
  buf_reset(&b);
  work_put_tls(&b, &t);
  netstring_open(&reader, b.data, b.len);
  CHECK_INT(work_get_tls(&reader, &got), -1);
  buf_free(&b);
}

static void test_tlsa(void)
{
  unsigned char rdata[67] = {3, 1, 1, 9}, wire[TLSA_WIRE_MAX];
  struct tlsa_set set = {.count = 0}, back;
  size_t len;

  CHECK(tlsa_take(&set, rdata, 35));
  CHECK(!tlsa_take(&set, rdata, 34));
  CHECK(!tlsa_take(&set, rdata, 36));
  CHECK(!tlsa_take(&set, rdata, 2));
  rdata[2] = 2;
  CHECK(tlsa_take(&set, rdata, 67));
  CHECK(!tlsa_take(&set, rdata, 35));
  rdata[2] = 0;
  CHECK(!tlsa_take(&set, rdata, 67));
  rdata[2] = 1;
  rdata[1] = 2;
  CHECK(!tlsa_take(&set, rdata, 35));
  rdata[1] = 0;
  for (unsigned char usage = 0; usage < 5; usage++) {
    rdata[0] = usage;
    CHECK_INT(tlsa_take(&set, rdata, 35), usage == 2 || usage == 3);
  }
  CHECK_INT(set.count, 4);
  tlsa_prefer_strongest(&set);
  CHECK_INT(set.count, 3); /* 3 1 1 gave way to 3 1 2; 2 0 1 and 3 0 1 stay */
  CHECK_INT(set.records[0].type, TLSA_SHA512);
  len = tlsa_encode(&set, wire);
  CHECK_INT(len, 67 + 35 + 35);
  CHECK_INT(tlsa_decode(wire, len, &back), 0);
  CHECK_INT(back.count, 3);
  CHECK(memcmp(set.records, back.records, 3 * sizeof set.records[0]) == 0);
  CHECK_INT(tlsa_decode(wire, len - 1, &back), -1);
  CHECK_INT(tlsa_decode(wire, 2, &back), -1);
  CHECK_INT(tlsa_decode(wire, 0, &back), 0);
  for (int i = 0; i < 2 * TLSA_RECORDS_MAX; i++) {
    CHECK(tlsa_take(&set, rdata, 35) == false); /* usage 4 by now */
    rdata[0] = 3;
    CHECK(tlsa_take(&set, rdata, 35));
    rdata[0] = 4;
  }
  CHECK_INT(set.count, TLSA_RECORDS_MAX);
  CHECK(tlsa_encode(&set, wire) <= sizeof wire);
}

int main(void)
{
  test_lines();
  test_demands();
  test_dane();
  test_wire();
  test_tlsa();
  return check_done("tlspolicy");
}
