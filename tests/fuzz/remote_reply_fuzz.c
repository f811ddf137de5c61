/* mxreply.c: the result does not depend on how the bytes are cut, and all limits hold. */
#include "mxreply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static enum mxreply_result feed(struct mxreply *r, const char *data, size_t len, size_t piece)
{
  enum mxreply_result result = MXREPLY_MORE;
  size_t at = 0, n, used;

  mxreply_reset(r);
  while (at < len && result != MXREPLY_DONE && result != MXREPLY_GARBLED) {
    n = len - at < piece ? len - at : piece;
    result = mxreply_feed(r, data + at, n, &used);
    if (used > n || r->text_len > MXREPLY_TEXT_MAX || r->line_len > MXREPLY_LINE_MAX) {
      abort();
    }
    at += used;
  }
  return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct mxreply whole, bytes;
  enum mxreply_result a, b;

  a = feed(&whole, (const char *)data, size, size);
  b = feed(&bytes, (const char *)data, size, 1);
  if (a != b && a != MXREPLY_GARBLED) {
    abort();
  }
  if (a == MXREPLY_DONE &&
      (whole.code < 200 || whole.code > 599 || whole.code != bytes.code ||
       whole.text_len != bytes.text_len || memcmp(whole.text, bytes.text, whole.text_len) != 0)) {
    abort();
  }
  return 0;
}
