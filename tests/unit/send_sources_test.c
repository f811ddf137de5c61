/* control/sources, the names of sources, and the hosts that each can reach. */
#include "route.h"
#include "sources.h"

#include "check.h"

#include <stdlib.h>

#define FORM "not NAME IPV4 IPV6 HELO, with - for none"
#define IP4 "the second word is no IPv4 address of a host, nor -"
#define IP6 "the third word is no IPv6 address of a host, nor -"

static const struct {
  const char *line, *wrong, *name, *ip4, *ip6, *helo;
} lines[] = {
  {"out1 192.0.2.1 2001:db8::1 mail1.example.com", NULL, "out1", "192.0.2.1", "2001:db8::1",
   "mail1.example.com"},
  {"\tout2  192.0.2.2\t-   -", NULL, "out2", "192.0.2.2", "", ""},
  {"out3 - ::1 -", NULL, "out3", "", "::1", ""},
  {"Out1 192.0.2.1 - [192.0.2.1]", NULL, "Out1", "192.0.2.1", "", "[192.0.2.1]"},
  {"out1 192.0.2.9 - -", "this name has a line already", NULL, NULL, NULL, NULL},
  {"out4", FORM, NULL, NULL, NULL, NULL},
  {"out4 192.0.2.1", FORM, NULL, NULL, NULL, NULL},
  {"out4 192.0.2.1 -", FORM, NULL, NULL, NULL, NULL},
  {"out4 192.0.2.1 - - -", FORM, NULL, NULL, NULL, NULL},
  {"", FORM, NULL, NULL, NULL, NULL},
  {"out4 - - mail.example.com", "neither an IPv4 nor an IPv6 address", NULL, NULL, NULL, NULL},
  {"out4 192.0.2 - -", IP4, NULL, NULL, NULL, NULL},
  {"out4 2001:db8::1 - -", IP4, NULL, NULL, NULL, NULL},
  {"out4 ::ffff:192.0.2.1 - -", NULL, "out4", "192.0.2.1", "", ""},
  {"out5 0.0.0.0 - -", IP4, NULL, NULL, NULL, NULL},
  {"out5 224.0.0.5 - -", IP4, NULL, NULL, NULL, NULL},
  {"out5 - 192.0.2.1 -", IP6, NULL, NULL, NULL, NULL},
  {"out5 - ::ffff:192.0.2.1 -", IP6, NULL, NULL, NULL, NULL},
  {"out5 - :: -", IP6, NULL, NULL, NULL, NULL},
  {"out5 - ff02::1 -", IP6, NULL, NULL, NULL, NULL},
  {"out5 192.0.2.1 - mail_1.example",
   "the fourth word is no host name, nor -", NULL, NULL, NULL, NULL},
  {"- 192.0.2.1 - -", "not a name of 1 to 64 printable characters", NULL, NULL, NULL, NULL},
  {"caf\xc3\xa9 192.0.2.1 - -",
   "not a name of 1 to 64 printable characters", NULL, NULL, NULL, NULL},
  {"0123456789012345678901234567890123456789012345678901234567890123 192.0.2.1 - -", NULL,
   "0123456789012345678901234567890123456789012345678901234567890123", "192.0.2.1", "", ""},
  {"01234567890123456789012345678901234567890123456789012345678901234 192.0.2.1 - -",
   "not a name of 1 to 64 printable characters", NULL, NULL, NULL, NULL},
};

static void check_ip(const struct ip *ip, const char *wanted)
{
  char text[IP_TEXT_SIZE];

  ip_format(ip, text);
  CHECK_STR(text, wanted);
}

static void test_lines(void)
{
  struct sourcelist list;

  sourcelist_init(&list);
  CHECK(sourcelist_find(&list, "out1") == NULL);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    const char *wrong = sourcelist_add(&list, lines[i].line);
    CHECK_STR(wrong ? wrong : "ok", lines[i].wrong ? lines[i].wrong : "ok");
  }
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    if (lines[i].name) {
      const struct sourceline *line = sourcelist_find(&list, lines[i].name);
      CHECK(line != NULL);
      check_ip(&line->ip4, lines[i].ip4);
      check_ip(&line->ip6, lines[i].ip6);
      CHECK_STR(line->helo, lines[i].helo);
    }
  }
  CHECK(sourcelist_find(&list, "out") == NULL);
  CHECK(sourcelist_find(&list, "") == NULL);
  sourcelist_free(&list);
}

static void test_same(void)
{
  static const char *const others[] = {"a 192.0.2.2 - x.test", "a 192.0.2.1 ::1 x.test",
                                       "a 192.0.2.1 - y.test", "a 192.0.2.1 - -", "b 192.0.2.1 - -"};
  struct sourcelist a, b;

  sourcelist_init(&a);
  CHECK(sourcelist_add(&a, "a 192.0.2.1 - x.test") == NULL);
  CHECK(sourcelist_same(&a, &a, "a"));
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    sourcelist_init(&b);
    CHECK(sourcelist_add(&b, others[i]) == NULL);
    CHECK(!sourcelist_same(&a, &b, "a"));
    CHECK(sourcelist_same(&a, &b, "c"));
    sourcelist_free(&b);
  }
  sourcelist_free(&a);
}

/* Twelve addresses of two hosts, IPv6 and IPv4 in turn, of which five are told to a worker. */
static void test_hosts(void)
{
  static const struct {
    const char *source4, *source6;
    const char *first;
    int v4, v6;
  } cases[] = {
    {"", "", "2001:db8::0", 2, 3},
    {"192.0.2.9", "2001:db8::9", "2001:db8::0", 2, 3},
    {"192.0.2.9", "", "198.51.100.1", 5, 0},
    {"", "2001:db8::9", "2001:db8::0", 0, 5},
  };
  struct resolve_answer a = {.status = RESOLVE_OK, .ttl = 60, .host_count = 2, .address_count = 12};
  struct route_plan plan = {.kind = ROUTE_MX, .port = 25};
  struct sitemap map;

  strcpy(a.hosts[0].name, "mx1.test");
  strcpy(a.hosts[1].name, "mx2.test");
  a.hosts[1].preference = 10;
  for (uint32_t i = 0; i < 12; i++) {
    char text[40];
    snprintf(text, sizeof text, i % 2 ? "198.51.100.%u" : "2001:db8::%u", i);
    CHECK_INT(ip_parse(text, strlen(text), &a.addresses[i].ip), 0);
    a.addresses[i].host = i / 6;
  }
  sitemap_init(&map);
  struct route *route = route_make(&map, &plan, &a);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct work_open open = {.host_count = 0};
    uint8_t ranks[WORK_HOSTS_MAX];
    int v4 = 0, v6 = 0;
    struct ip first;
    ip_parse(cases[i].source4, strlen(cases[i].source4), &open.source4);
    ip_parse(cases[i].source6, strlen(cases[i].source6), &open.source6);
    route_fill(route, &open, ranks);
    for (uint32_t h = 0; h < open.host_count; h++) {
      *(open.hosts[h].ip.family == AF_INET ? &v4 : &v6) += 1;
      CHECK_INT(ranks[h], strcmp(open.hosts[h].name, "mx1.test") == 0 ? 0 : 1);
    }
    CHECK_INT(v4, cases[i].v4);
    CHECK_INT(v6, cases[i].v6);
    CHECK_INT(ip_parse(cases[i].first, strlen(cases[i].first), &first), 0);
    CHECK(ip_equal(&open.hosts[0].ip, &first));
  }
  route_free(route);
  sitemap_free(&map);
}

/* So many names that the last ones have no number of their own: never the default's. */
static void test_names(void)
{
  char name[20];

  CHECK_INT(sources_index(""), 0);
  CHECK_STR(sources_name(0), "");
  for (int i = 1; i < SOURCES_MAX + 5; i++) {
    snprintf(name, sizeof name, "s%d", i);
    uint16_t index = sources_index(name);
    if (index != (i < SOURCES_MAX ? i : SOURCES_MAX) || sources_index(name) != index ||
        strcmp(sources_name(index), i < SOURCES_MAX ? name : "of a name too many") != 0) {
      CHECK_INT(index, i);
      return;
    }
  }
  CHECK_INT(sources_index("s7"), 7);
}

int main(void)
{
  test_lines();
  test_same();
  test_hosts();
  test_names();
  return check_done("send_sources");
}
