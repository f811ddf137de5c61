/*
 * control/tlspolicy (the input as lines), the demands that come of it, and
 * lib/work_tls.h: what was put is got back; what is got from any bytes can be
 * put again.
 */
#include "tlspolicy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void round_trip(const struct work_tls *t)
{
  struct buf b = BUF_INIT(65536);
  struct netstring_reader r;
  struct work_tls got;

  if (work_put_tls(&b, t) == -1) {
    abort();
  }
  netstring_open(&r, b.data, b.len);
  if (work_get_tls(&r, &got) == -1 || netstring_end(&r) == -1 ||
      memcmp(t, &got, sizeof(got)) != 0) {
    abort();
  }
  buf_free(&b);
}

static void use(const struct tlspolicies *policies)
{
  static const unsigned char records[35] = {3, 1, 1};
  static const char statuses[] = "-inrutl";
  struct work_tls demand;

  for (size_t i = 0; i < sizeof(statuses) - 1; i++) {
    struct tls_host host = {.domain = "a.b",
                            .mx = i % 2 ? "mx.a.b" : "",
                            .base = "mx.a.b",
                            .dane = (enum dane_status)statuses[i],
                            .tlsa = records,
                            .tlsa_len = sizeof(records)};
    tlspolicy_demand(tlspolicy_find(policies, host.domain, host.mx), &host, &demand);
    tlspolicy_digest(&demand);
    round_trip(&demand);
  }
}

static void take_bytes(const uint8_t *data, size_t size)
{
  struct work_tls_result result;
  struct netstring_reader r;
  struct work_tls t;

  netstring_open(&r, (const char *)data, size);
  if (work_get_tls(&r, &t) == 0) {
    tlspolicy_digest(&t);
    round_trip(&t);
  }
  netstring_open(&r, (const char *)data, size);
  work_get_tls_result(&r, &result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct tlspolicies policies;
  char line[CONTROL_LINE_MAX + 1];
  size_t len;

  take_bytes(data, size);
  tlspolicy_init(&policies);
  while (size > 0) {
    const uint8_t *end = memchr(data, '\n', size);
    len = end ? (size_t)(end - data) : size;
    if (len <= CONTROL_LINE_MAX) {
      memcpy(line, data, len);
      line[len] = 0;
      tlspolicy_add(&policies, line);
    }
    len += end != NULL;
    data += len;
    size -= len;
  }
  use(&policies);
  tlspolicy_free(&policies);
  return 0;
}
