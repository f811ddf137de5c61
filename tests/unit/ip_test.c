/* IP addresses: text both ways, literals, what is local, tenants, sockaddrs. */
#include "ip.h"
#include "check.h"

#include <stdlib.h>

static const struct {
  const char *s, *text; /* no text and not local: it must fail */
  bool local;
  const char *tenant;
} parse_cases[] = {
    {"192.0.2.1", "192.0.2.1", false, "192.0.2.1"},
    {"127.0.0.1", "127.0.0.1", true, "127.0.0.1"},
    {"127.255.1.2", "127.255.1.2", true, "127.255.1.2"},
    {"0.0.0.0", "0.0.0.0", true, "0.0.0.0"},
    {"0.1.2.3", "0.1.2.3", true, "0.1.2.3"},
    {"169.254.1.1", "169.254.1.1", true, "169.254.1.1"},
    {"169.253.1.1", "169.253.1.1", false, "169.253.1.1"},
    {"224.0.0.1", "224.0.0.1", true, "224.0.0.1"},
    {"255.255.255.255", "255.255.255.255", true, "255.255.255.255"},
    {"223.255.255.255", "223.255.255.255", false, "223.255.255.255"},
    {"10.0.0.1", "10.0.0.1", false, "10.0.0.1"},
    {"2001:db8::1", "2001:db8::1", false, "2001:db8::/64"},
    {"2001:DB8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", false, "2001:db8:1:2::/64"},
    {"2001:db8:1:ffff:ffff::", "2001:db8:1:ffff:ffff::", false, "2001:db8:1:ffff::/64"},
    {"::", "::", true, "::/64"},
    {"::1", "::1", true, "::/64"},
    {"::127.0.0.1", NULL, true, NULL}, /* its text differs between C libraries */
    {"fe80::1", "fe80::1", true, "fe80::/64"},
    {"febf::1", "febf::1", true, "febf::/64"},
    {"fec0::1", "fec0::1", false, "fec0::/64"},
    {"ff02::1", "ff02::1", true, "ff02::/64"},
    {"fd00::1", "fd00::1", false, "fd00::/64"},
    {"::ffff:192.0.2.1", "192.0.2.1", false, "192.0.2.1"},
    {"::ffff:7f00:1", "127.0.0.1", true, "127.0.0.1"},
    {"64:ff9b::127.0.0.1", "64:ff9b::7f00:1", true, "64:ff9b::/64"},
    {"64:ff9b::192.0.2.1", "64:ff9b::c000:201", false, "64:ff9b::/64"},
    {"", NULL, false, NULL},
    {"1.2.3", NULL, false, NULL},
    {"1.2.3.4.5", NULL, false, NULL},
    {"1.2.3.256", NULL, false, NULL},
    {"1.2.3.04", NULL, false, NULL},
    {"1.2.3.4 ", NULL, false, NULL},
    {" 1.2.3.4", NULL, false, NULL},
    {"0x7f.0.0.1", NULL, false, NULL},
    {"2130706433", NULL, false, NULL},
    {"1::2::3", NULL, false, NULL},
    {":::", NULL, false, NULL},
    {"fe80::1%lo", NULL, false, NULL},
    {"[::1]", NULL, false, NULL},
    {"2001:db8:1:2:3:4:5:6:7", NULL, false, NULL},
    {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0", NULL, false, NULL},
};

static void test_parse(void)
{
  for (size_t i = 0; i < sizeof parse_cases / sizeof *parse_cases; i++) {
    struct ip ip;
    char text[IP_TEXT_SIZE], tenant[IP_TENANT_SIZE];
    size_t len = strlen(parse_cases[i].s);
    char *copy = malloc(len ? len : 1);
    if (!copy) {
      abort();
    }
    memcpy(copy, parse_cases[i].s, len);
    int result = ip_parse(copy, len, &ip);
    free(copy);
    if (!parse_cases[i].text && !parse_cases[i].local) {
      CHECK_INT(result, -1);
      CHECK_INT(ip.family, 0);
      continue;
    }
    CHECK_INT(result, 0);
    CHECK_INT(ip_is_local(&ip), parse_cases[i].local);
    if (parse_cases[i].text) {
      ip_format(&ip, text);
      CHECK_STR(text, parse_cases[i].text);
      ip_tenant(&ip, tenant);
      CHECK_STR(tenant, parse_cases[i].tenant);
    }
  }
}

static void test_literal(void)
{
  static const struct {
    const char *s, *text;
  } cases[] = {
      {"[192.0.2.1]", "192.0.2.1"},
      {"[IPv6:2001:db8::1]", "2001:db8::1"},
      {"[ipv6:2001:DB8::1]", "2001:db8::1"},
      {"[IPv6:::1]", "::1"},
      {"[IPv6:::ffff:192.0.2.1]", "192.0.2.1"},
      {"[2001:db8::1]", NULL},
      {"[IPv6:192.0.2.1]", NULL},
      {"[IPv6:]", NULL},
      {"[IPv6]", NULL},
      {"[]", NULL},
      {"[", NULL},
      {"]", NULL},
      {"", NULL},
      {"192.0.2.1", NULL},
      {"[192.0.2.1", NULL},
      {"192.0.2.1]", NULL},
      {"[192.0.2.1]]", NULL},
      {"[[192.0.2.1]]", NULL},
      {"[ 192.0.2.1]", NULL},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct ip ip;
    char text[IP_TEXT_SIZE];
    int result = ip_parse_literal(cases[i].s, strlen(cases[i].s), &ip);
    CHECK_INT(result, cases[i].text ? 0 : -1);
    ip_format(&ip, text);
    CHECK_STR(text, cases[i].text ? cases[i].text : "");
  }
  struct ip ip;
  CHECK_INT(ip_parse("1.2.3.4\0", 8, &ip), -1);
}

static void test_sockaddr(void)
{
  static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "::1"};
  struct ip ip, back, none = {0};
  struct sockaddr_storage sa;
  socklen_t len;
  int port;

  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    CHECK_INT(ip_parse(texts[i], strlen(texts[i]), &ip), 0);
    ip_to_sockaddr(&ip, 2525, &sa, &len);
    CHECK_INT(len, ip.family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    CHECK_INT(ip_from_sockaddr((struct sockaddr *)&sa, &back, &port), 0);
    CHECK_INT(port, 2525);
    CHECK(ip_equal(&ip, &back));
    back.bytes[3] ^= 1;
    CHECK(!ip_equal(&ip, &back));
    CHECK(!ip_equal(&ip, &none));
  }
  /* What accept() on a dual-stack socket gives for an IPv4 client. */
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(25)};
  memcpy(&in6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
  CHECK_INT(ip_from_sockaddr((struct sockaddr *)&in6, &ip, NULL), 0);
  CHECK_INT(ip_parse("192.0.2.1", 9, &back), 0);
  CHECK(ip_equal(&ip, &back));

  ip_to_sockaddr(&none, 25, &sa, &len);
  CHECK_INT(len, 0);
  sa.ss_family = AF_UNIX;
  CHECK_INT(ip_from_sockaddr((struct sockaddr *)&sa, &ip, &port), -1);
  CHECK(ip_is_local(&none));
}

static void test_network(void)
{
  static const struct {
    const char *network, *in, *out;
  } cases[] = {
    {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
    {"127.0.0.0/8", "127.255.1.2", "128.0.0.1"},
    {"192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
    {"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
    {"::1", "::1", "::2"},
    {"192.0.2.0/33", NULL, NULL},
    {"192.0.2.0/", NULL, NULL},
    {"192.0.2.0/-1", NULL, NULL},
    {"::/129", NULL, NULL},
    {"192.0.2/24", NULL, NULL},
    {"/8", NULL, NULL},
    {"localhost", NULL, NULL},
    {"", NULL, NULL},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *network = cases[i].network;
    struct ip_network net;
    struct ip ip;
    CHECK_INT(ip_network_parse(network, strlen(network), &net), cases[i].in ? 0 : -1);
    if (cases[i].in) {
      CHECK_INT(ip_parse(cases[i].in, strlen(cases[i].in), &ip), 0);
      CHECK(ip_network_has(&net, &ip));
      CHECK_INT(ip_parse(cases[i].out, strlen(cases[i].out), &ip), 0);
      CHECK(!ip_network_has(&net, &ip));
    }
  }
}

int main(void)
{
  test_parse();
  test_literal();
  test_sockaddr();
  test_network();
  return check_done("ip");
}
