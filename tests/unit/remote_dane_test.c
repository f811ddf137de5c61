#include "dns_dane.h"

#include "check.h"

static uint32_t no_random(void)
{
  return 0;
}

/* A route by MX to mx.a.test; alias: its addresses are those of end.b.test. */
static void make(struct route *route, bool mx_secure, bool address_secure, bool alias)
{
  static struct dns_answer mx, a, none;
  static struct resolve_answer unused;

  mx = (struct dns_answer){.status = DNS_FOUND, .ttl = 300, .secure = mx_secure, .mx_count = 1};
  mx.mx[0] = (struct dns_mx){.preference = 10, .name = "mx.a.test"};
  a = (struct dns_answer){
    .status = DNS_FOUND, .ttl = 300, .secure = address_secure, .address_count = 1};
  snprintf(a.owner, sizeof a.owner, "%s", alias ? "end.b.test" : "mx.a.test");
  ip_parse("192.0.2.1", 9, &a.addresses[0]);
  none = (struct dns_answer){.status = DNS_NODATA, .ttl = 300};
  route_init(route);
  CHECK(route_take_mx(route, "a.test", &mx, no_random, &unused));
  route_take_addresses(route, 0, DNS_A, &a);
  route_take_addresses(route, 0, DNS_AAAA, &none);
}

static void test_begin(void)
{
  static struct route route;
  char name[DNS_NAME_SIZE];

  make(&route, true, true, false);
  CHECK(dane_begin(&route, 0, true));
  CHECK_INT(dane_question(&route, 0, 25, name), 0);
  CHECK_STR(name, "_25._tcp.mx.a.test");
  CHECK(!dane_begin(&route, 0, false));
  CHECK_INT(route.hosts[0].dane, DANE_REMOTE);
  make(&route, false, true, false);
  CHECK(!dane_begin(&route, 0, true));
  CHECK_INT(route.hosts[0].dane, DANE_INSECURE);
  make(&route, true, false, false);
  CHECK(!dane_begin(&route, 0, true));
  CHECK_INT(route.hosts[0].dane, DANE_INSECURE);

  /* A host of control/smtproutes needs no MX; an address has no records. */
  make(&route, true, true, false);
  struct route_host saved = route.hosts[0];
  route_init(&route);
  route_take_host(&route, "mx.a.test", true);
  CHECK(!dane_begin(&route, 0, true)); /* without an address */
  route.hosts[0] = saved;
  CHECK(dane_begin(&route, 0, true));
  route_init(&route);
  route_take_host(&route, "", true);
  CHECK(!dane_begin(&route, 0, true));
  CHECK_INT(route.hosts[0].dane, DANE_UNASKED);
  memset(route.hosts[0].base, 'x', sizeof route.hosts[0].base - 1);
  CHECK_INT(dane_question(&route, 0, 25, name), -1);
}

static void test_take(void)
{
  static const struct {
    enum dns_status status;
    bool secure;
    uint32_t usable;
    enum dane_status dane;
  } wanted[] = {
    {DNS_FOUND, true, 1, DANE_RECORDS},      {DNS_FOUND, true, 0, DANE_UNUSABLE},
    {DNS_FOUND, false, 1, DANE_INSECURE},    {DNS_NODATA, true, 0, DANE_NONE},
    {DNS_NXDOMAIN, true, 0, DANE_NONE},      {DNS_NODATA, false, 0, DANE_INSECURE},
    {DNS_NXDOMAIN, false, 0, DANE_INSECURE}, {DNS_FAILED, false, 0, DANE_FAILED},
    {DNS_ALIAS, true, 0, DANE_FAILED},       {DNS_FAILED, true, 1, DANE_FAILED},
  };
  static struct route route;
  static struct resolve_answer a;
  static const struct route_rules rules = {.me = "relay.test"};

  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct dns_answer found = {.status = wanted[i].status, .ttl = 60, .secure = wanted[i].secure};
    found.tlsa.count = wanted[i].usable;
    found.tlsa.records[0] =
      (struct tlsa){.usage = TLSA_EE, .selector = TLSA_KEY, .type = TLSA_SHA256};
    make(&route, true, true, false);
    CHECK(dane_begin(&route, 0, true));
    CHECK(!dane_take(&route, 0, &found));
    CHECK_INT(route.hosts[0].dane, wanted[i].dane);
    route_finish(&route, &rules, &a);
    CHECK_INT(a.status, RESOLVE_OK);
    CHECK_INT(a.hosts[0].dane, wanted[i].dane);
    CHECK_INT(a.hosts[0].tlsa_len, wanted[i].dane == DANE_RECORDS ? 35 : 0);
    CHECK_STR(a.hosts[0].base, wanted[i].dane == DANE_RECORDS ? "mx.a.test" : "");
    CHECK_INT(a.ttl, wanted[i].dane == DANE_FAILED ? 0 : 60); /* asked again soon */
  }
}

/* The end of an alias first, then the alias; a failure about the end is not passed over. */
static void test_alias(void)
{
  static struct route route;
  struct dns_answer none = {.status = DNS_NODATA, .ttl = 60, .secure = true};
  struct dns_answer failed = {.status = DNS_FAILED},
                    found = {.status = DNS_FOUND, .ttl = 60, .secure = true};

  found.tlsa.count = 1;
  make(&route, true, true, true);
  CHECK(dane_begin(&route, 0, true));
  CHECK_STR(route.hosts[0].base, "end.b.test");
  CHECK(dane_take(&route, 0, &none));
  CHECK_STR(route.hosts[0].base, "mx.a.test");
  CHECK(!dane_take(&route, 0, &found));
  CHECK_INT(route.hosts[0].dane, DANE_RECORDS);
  make(&route, true, true, true);
  CHECK(dane_begin(&route, 0, true));
  CHECK(!dane_take(&route, 0, &failed));
  CHECK_INT(route.hosts[0].dane, DANE_FAILED);
}

int main(void)
{
  test_begin();
  test_take();
  test_alias();
  return check_done("remote_dane");
}
