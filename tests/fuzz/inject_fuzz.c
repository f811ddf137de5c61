/* sendmail's input: the address-list parser, and the header with all that is done to it. */
#include "inject_address.h"
#include "inject_headers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_address(void *arg, const char *address, size_t end)
{
  char again[ADDRESS_SIZE];
  size_t size = *(const size_t *)arg;

  if (end > size || !address_domain(address) ||
      address_parse(address, strlen(address), true, again) != ADDRESS_OK) {
    abort();
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const struct inject_writer writer = {.default_domain = "d.example", .me = "m.example",
                                       .from = "j@m.example", .full_name = "J", .id = "I"};
  struct inject_headers h = {.body = 0};
  struct envelope e;
  const char *why, *text = (const char *)data;

  inject_address_list(text, size, "d.example", check_address, &size, &why);
  envelope_init(&e);
  if (inject_headers_make(&h, text, size, &writer, &e, &why) == 0) {
    if (h.body > size || h.out.len < 2 || memcmp(h.out.data + h.out.len - 2, "\r\n", 2) != 0) {
      abort();
    }
  }
  buf_free(&h.out);
  envelope_free(&e);
  return 0;
}
