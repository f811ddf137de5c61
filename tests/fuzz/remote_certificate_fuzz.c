/* certificate.c: any bytes give a certificate or none, and texts within their bounds. */
#include "certificate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct certificate c;
  char out[64];

  if (certificate_read(data, size, &c) == -1) {
    return 0;
  }
  certificate_names(&c, out, sizeof(out));
  if (strlen(out) >= sizeof(out)) {
    abort();
  }
  certificate_name_text(&c.issuer, out, sizeof(out));
  certificate_name_text(&c.subject, out, sizeof(out));
  if (strlen(out) >= sizeof(out) || c.whole.len != size || certificate_has_name(&c, "")) {
    abort();
  }
  certificate_has_name(&c, "mx.example.com");
  certificate_has_name(&c, ".example.com");
  return 0;
}
