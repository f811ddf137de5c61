/*
 * Netstring reading. The first byte chooses the order of the typed reads; the
 * rest is the datagram. What is read must lie within it.
 */
#include "netstring.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
  if (!condition) {
    abort();
  }
}

static void read_one(struct netstring_reader *r, int kind)
{
  const char *field, *before = r->next;
  char s[16], c;
  size_t len;
  uint64_t n;
  int result;

  switch (kind) {
  case 0:
    result = netstring_get(r, 100, &field, &len);
    require(result < 0 || (field > before && len <= 100 && field + len < r->end));
    break;
  case 1:
    result = netstring_get_u64(r, 1000, &n);
    require(n <= 1000);
    break;
  case 2:
    result = netstring_get_str(r, s, sizeof s);
    require(strlen(s) < sizeof s);
    break;
  default:
    result = netstring_get_char(r, &c);
  }
  require((result < 0) == r->bad && r->next >= before && r->next <= r->end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct netstring_reader r;

  if (size == 0) {
    return 0;
  }
  unsigned kinds = data[0];
  netstring_open(&r, (const char *)data + 1, size - 1);
  while (netstring_more(&r)) {
    read_one(&r, kinds & 3);
    kinds = kinds >> 2 | (kinds & 3) << 6;
  }
  /* The loop ends at the exact end or at a bad field, never between. */
  require((netstring_end(&r) == 0) == !r.bad);
  return 0;
}
