/* dns_answer.c, dns_route.c and dns_dane.c: any DNS message gives an answer within its limits. */
#include "dns_dane.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint32_t no_random(void)
{
  return 7;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const enum dns_type types[] = {DNS_MX, DNS_A, DNS_AAAA, DNS_TLSA};
  static const struct route_rules rules = {.me = "a.b"};
  static struct dns_answer answers[4];
  static struct resolve_answer a;
  static struct route route;
  char name[DNS_NAME_SIZE];

  memset(&a, 0, sizeof(a));
  for (int i = 0; i < 4; i++) {
    dns_answer_parse(data, size, "a.b", types[i], &answers[i]);
    if (answers[i].mx_count > DNS_MX_MAX || answers[i].address_count > DNS_ADDRESSES_MAX ||
        answers[i].tlsa.count > TLSA_RECORDS_MAX) {
      abort();
    }
  }
  route_init(&route);
  if (route_take_mx(&route, "a.b", &answers[0], no_random, &a)) {
    for (uint32_t i = 0; i < route.host_count; i++) {
      route_take_addresses(&route, i, DNS_A, &answers[1]);
      route_take_addresses(&route, i, DNS_AAAA, &answers[2]);
      if (dane_begin(&route, i, true) && dane_question(&route, i, 25, name) == 0 &&
          dane_take(&route, i, &answers[3])) {
        dane_take(&route, i, &answers[3]);
      }
    }
    route_finish(&route, &rules, &a);
  }
  if (a.host_count > RESOLVE_HOSTS_MAX || a.address_count > RESOLVE_ADDRESSES_MAX ||
      memchr(a.text, 0, sizeof(a.text)) == NULL) {
    abort();
  }
  return 0;
}
