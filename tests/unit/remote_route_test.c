/* dns_route.c and dns_answer.c: from DNS messages to where mail goes. */
#include "dns_route.h"

#include "check.h"

static uint32_t no_random(void)
{
  return 0;
}

static struct ip ip_of(const char *s)
{
  struct ip ip = {0};

  CHECK_INT(ip_parse(s, strlen(s), &ip), 0);
  return ip;
}

struct mx {
  uint32_t preference;
  const char *name, *v4, *v6; /* "" for none, NULL for no answer, "!" for no such name */
};

static void give(struct route *route, uint32_t host, enum dns_type type, const char *s)
{
  struct dns_answer a = {.status = DNS_FOUND, .ttl = 500};

  if (!s) {
    a.status = DNS_FAILED;
  } else if (!*s || *s == '!') {
    a.status = *s ? DNS_NXDOMAIN : DNS_NODATA;
  } else {
    a.addresses[a.address_count++] = ip_of(s);
  }
  route_take_addresses(route, host, type, &a);
}

static const struct mx *find(const struct mx *list, const char *name)
{
  while (strcmp(list->name, name) != 0) {
    list++;
  }
  return list;
}

/* The hosts of the answer, joined by commas, or the status. */
static const char *route_to(const struct mx *list, uint32_t count)
{
  static struct dns_answer mx;
  static struct route route;
  static struct resolve_answer a;
  static char text[2000];
  struct route_rules rules = {.me = "relay.example", .own_count = 1, .local_count = 1};

  rules.own[0] = ip_of("203.0.113.1");
  CHECK_INT(ip_network_parse("127.5.0.0/16", 12, &rules.local[0]), 0);
  mx = (struct dns_answer){.status = count ? DNS_FOUND : DNS_NODATA, .ttl = 700, .mx_count = count};
  for (uint32_t i = 0; i < count; i++) {
    mx.mx[i].preference = list[i].preference;
    snprintf(mx.mx[i].name, sizeof(mx.mx[i].name), "%s", list[i].name);
  }
  route_init(&route);
  if (route_take_mx(&route, "d.example", &mx, no_random, &a)) {
    for (uint32_t i = 0; i < route.host_count; i++) {
      const struct mx *m = find(list, route.hosts[i].name);
      give(&route, i, DNS_A, m->v4);
      give(&route, i, DNS_AAAA, m->v6);
    }
    route_finish(&route, &rules, &a);
  }
  snprintf(text, sizeof(text), "%c", a.status);
  for (uint32_t i = 0; i < a.host_count; i++) {
    size_t len = strlen(text);
    snprintf(text + len, sizeof(text) - len, " %s", a.hosts[i].name);
  }
  CHECK((a.status == RESOLVE_OK) == (a.address_count > 0));
  CHECK(a.status == RESOLVE_OK || *a.text);
  return text;
}

#define ROUTE(...)                                                                                 \
  route_to((const struct mx[]){__VA_ARGS__},                                                       \
           sizeof((const struct mx[]){__VA_ARGS__}) / sizeof(struct mx))

static void test_routes(void)
{
  const struct mx self = {10, "d.example", "192.0.2.1", ""};
  const struct mx nothing = {0, "d.example", "", ""};
  const struct mx no_name = {0, "d.example", "!", "!"};
  const struct mx unknown = {0, "d.example", "", NULL};
  const struct mx loopback = {0, "d.example", "127.0.0.1", ""};
  const struct mx linklocal = {0, "d.example", "169.254.1.1", ""};

  CHECK_STR(ROUTE({10, "a", "192.0.2.1", ""}), "o a");
  CHECK_STR(ROUTE({20, "b", "192.0.2.2", ""}, {10, "a", "192.0.2.1", ""}), "o a b");
  CHECK_STR(ROUTE({10, "a", "", "2001:db8::1"}), "o a");
  CHECK_STR(ROUTE({10, "a", "", ""}, {20, "b", "192.0.2.2", ""}), "o b");
  CHECK_STR(ROUTE({10, "a", NULL, NULL}, {20, "b", "192.0.2.2", ""}), "o b");
  CHECK_STR(ROUTE({10, "a", "!", "!"}), "t");
  CHECK_STR(ROUTE({0, "", "", ""}), "n");
  CHECK_STR(ROUTE({0, "", "", ""}, {10, "a", "192.0.2.1", ""}), "o a");
  CHECK_STR(ROUTE({10, "192.0.2.1", "", ""}), "t");
  CHECK_STR(ROUTE({10, "bad name", "", ""}), "t");
  CHECK_STR(ROUTE({10, "a", "192.0.2.1", ""}, {20, "a", "192.0.2.1", ""}), "o a");
  /* ourselves: by name, address, loopback; at and behind our preference nobody is asked */
  CHECK_STR(ROUTE({10, "relay.example", "192.0.2.1", ""}), "s");
  CHECK_STR(ROUTE({10, "RELAY.example", NULL, NULL}), "s");
  CHECK_STR(ROUTE({10, "a", "203.0.113.1", ""}), "s");
  CHECK_STR(ROUTE({10, "a", "127.0.0.1", ""}), "s");
  CHECK_STR(ROUTE({10, "a", "", "::1"}), "s");
  CHECK_STR(ROUTE({10, "a", "0.0.0.0", ""}), "s");
  CHECK_STR(ROUTE({10, "a", "224.0.0.1", ""}), "t");
  CHECK_STR(ROUTE({10, "a", "127.5.1.1", ""}), "o a");
  CHECK_STR(ROUTE({10, "relay.example", "127.5.1.1", ""}), "o relay.example");
  CHECK_STR(ROUTE({5, "a", "192.0.2.1", ""}, {10, "relay.example", "", ""},
                  {10, "b", "192.0.2.2", ""}, {20, "c", "192.0.2.3", ""}),
            "o a");
  CHECK_STR(ROUTE({5, "relay.example", "", ""}, {10, "b", "192.0.2.2", ""}), "s");
  /* no MX: the domain itself; permanent only by two negative answers */
  CHECK_STR(route_to(&self, 0), "o d.example");
  CHECK_STR(route_to(&nothing, 0), "a");
  CHECK_STR(route_to(&no_name, 0), "x");
  CHECK_STR(route_to(&unknown, 0), "t");
  CHECK_STR(route_to(&loopback, 0), "s");
  CHECK_STR(route_to(&linklocal, 0), "t");
}

/* An answer about "a.b" as bytes: header, question, then what a test adds. */
static size_t packet(unsigned char *p, int rcode, int answers, int authorities, const char *tail,
                     size_t tail_len)
{
  const unsigned char head[] = {0,    1,
                                0x81, (unsigned char)(0x80 | rcode),
                                0,    1,
                                0,    (unsigned char)answers,
                                0,    (unsigned char)authorities,
                                0,    0,
                                1,    'a',
                                1,    'b',
                                0,    0,
                                15,   0,
                                1};

  memcpy(p, head, sizeof(head));
  memcpy(p + sizeof(head), tail, tail_len);
  return sizeof(head) + tail_len;
}

#define PACKET(rcode, answers, authorities, tail)                                                  \
  packet(p, rcode, answers, authorities, tail, sizeof(tail) - 1)
#define SOA_RR "\xc0\x0c\0\6\0\1\0\0\2\0\0\x16\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x1e"
#define CNAME_RR "\xc0\x0c\0\5\0\1\0\0\0\x20\0\3\1c\0"

static void test_answers(void)
{
  static struct dns_answer a;
  unsigned char p[600];
  size_t len;

  len = PACKET(0, 1, 0, "\xc0\x0c\0\x0f\0\1\0\0\1\0\0\6\0\x0a\2mx\0");
  dns_answer_parse(p, len, "A.b", DNS_MX, &a);
  CHECK_INT(a.status, DNS_FOUND);
  CHECK_INT(a.mx_count, 1);
  CHECK_STR(a.mx[0].name, "mx");
  CHECK_INT(a.mx[0].preference, 10);
  CHECK_INT(a.ttl, 256);
  dns_answer_parse(p, len, "other.b", DNS_MX, &a); /* not the owner that was asked for */
  CHECK_INT(a.status, DNS_NODATA);
  for (size_t n = 0; n < len; n++) { /* cut anywhere: nothing can be concluded */
    dns_answer_parse(p, n, "a.b", DNS_MX, &a);
    CHECK_INT(a.status, DNS_FAILED);
  }
  len = PACKET(0, 0, 1, SOA_RR);
  dns_answer_parse(p, len, "a.b", DNS_MX, &a);
  CHECK_INT(a.status, DNS_NODATA);
  CHECK_INT(a.ttl, 30);
  len = PACKET(3, 0, 1, SOA_RR);
  dns_answer_parse(p, len, "a.b", DNS_MX, &a);
  CHECK_INT(a.status, DNS_NXDOMAIN);
  len = PACKET(2, 0, 0, "");
  dns_answer_parse(p, len, "a.b", DNS_MX, &a);
  CHECK_INT(a.status, DNS_FAILED);
  len = PACKET(0, 1, 0, CNAME_RR);
  dns_answer_parse(p, len, "a.b", DNS_MX, &a);
  CHECK_INT(a.status, DNS_ALIAS);
  CHECK_STR(a.alias, "c");
  len = PACKET(0, 1, 1, CNAME_RR SOA_RR);
  dns_answer_parse(p, len, "a.b", DNS_MX, &a);
  CHECK_INT(a.status, DNS_NODATA);
  len = PACKET(0, 1, 0, "\xc0\x0c\0\5\0\1\0\0\0\x20\0\2\xc0\x0c"); /* an alias of itself */
  dns_answer_parse(p, len, "a.b", DNS_MX, &a);
  CHECK_INT(a.status, DNS_FAILED);
}

int main(void)
{
  test_routes();
  test_answers();
  return check_done("remote_route");
}
