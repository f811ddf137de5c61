/* body.c: whatever goes in, what goes out has no lone CR or LF, ends once, and is the same however
 * cut. */
#include "body.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t encode(const char *data, size_t len, size_t piece, char *out)
{
  struct body b;
  size_t n = 0, at, take;

  body_init(&b);
  for (at = 0; at < len; at += take) {
    take = len - at < piece ? len - at : piece;
    if (body_plain(&b, data + at, take)) {
      memcpy(out + n, data + at, take);
      n += take;
    } else {
      n += body_encode(&b, data + at, take, out + n);
    }
  }
  return n + body_end(&b, out + n);
}

static void check_wire(const char *s, size_t n)
{
  if (n < 3 || memcmp(s + n - 3, ".\r\n", 3) != 0) {
    abort();
  }
  for (size_t i = 0; i < n; i++) {
    if ((s[i] == '\n') != (i > 0 && s[i - 1] == '\r')) {
      abort();
    }
    if (s[i] == '.' && (i == 0 || s[i - 1] == '\n') && i + 3 != n && s[i + 1] != '.') {
      abort(); /* an unstuffed dot before the end */
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *whole, *cut;
  size_t n;

  if (size > 65536) {
    return 0;
  }
  whole = malloc(BODY_ROOM(size));
  cut = malloc(BODY_ROOM(size));
  n = encode((const char *)data, size, size + 1, whole);
  check_wire(whole, n);
  for (size_t piece = 1; piece < 5; piece++) {
    if (encode((const char *)data, size, piece, cut) != n || memcmp(whole, cut, n) != 0) {
      abort();
    }
  }
  free(whole);
  free(cut);
  return 0;
}
