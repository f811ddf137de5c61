/*
 * Addresses. The first byte: bit 0 allows UTF-8, bit 1 the null path, bit 2
 * tries the bytes as a path instead of a bare address.
 */
#include "address.h"
#include "scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
  if (!condition) {
    abort();
  }
}

static void check_result(const char *out, bool utf8)
{
  char again[ADDRESS_SIZE];
  size_t len = strlen(out);
  const char *domain = address_domain(out);

  require(len > 0 && len <= ADDRESS_MAX);
  require(utf8 ? scan_utf8_valid(out, len) : scan_ascii_only(out, len));
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)out[i];
    require(c > 0x20 || (c == 0x20 && out[0] == '"'));
    require(c != 0x7f);
  }
  if (domain) {
    require(address_domain_valid(domain, strlen(domain), utf8));
    require((size_t)(domain - out) <= ADDRESS_LOCAL_MAX + 1);
  }
  require(address_parse(out, len, utf8, again) == ADDRESS_OK);
  require(strcmp(out, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char out[ADDRESS_SIZE];

  if (size == 0) {
    return 0;
  }
  const char *s = (const char *)data + 1;
  size_t len = size - 1, used = 0;
  bool utf8 = data[0] & 1, null_allowed = data[0] & 2, path = data[0] & 4;
  enum address_result result = path ? address_parse_path(s, len, utf8, null_allowed, out, &used)
                                    : address_parse(s, len, utf8, out);
  if (result != ADDRESS_OK) {
    require(out[0] == '\0' && used == 0);
    require(result != ADDRESS_NEEDS_UTF8 || !utf8);
  } else if (out[0] == '\0') {
    require(path && null_allowed && used == 2);
  } else {
    require(!path || (used >= 3 && used <= len && s[used - 1] == '>'));
    check_result(out, utf8);
  }
  address_xtext_valid(s, len);
  return 0;
}
