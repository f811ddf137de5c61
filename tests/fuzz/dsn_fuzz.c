/* What a DSN's composer makes of an original's header and of a reply: lines that stay lines. */
#include "dsn.h"
#include "dsn_field.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CRLF alone ends a line, none is too long, and with folded only the first begins without a blank. */
static void require_lines(const struct buf *b, bool folded)
{
  size_t column = 0;

  for (size_t i = 0; i < b->len; i++) {
    char c = b->data[i];
    if (c == '\r') {
      if (++i >= b->len || b->data[i] != '\n' || (folded && i + 1 < b->len && b->data[i + 1] != ' ')) {
        abort();
      }
      column = 0;
    } else if (c == '\n' || c == '\0' || ++column > DSN_LINE_MAX) {
      abort();
    }
  }
  if (column != 0) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;
  struct dsn_original o = {.bytes = BUF_INIT(8 * size + 100)};
  struct buf field = BUF_INIT(16 * size + 1000), decoded = BUF_INIT(2 * size + 100);
  char *s = malloc(size + 1);

  if (!s || dsn_original_header(&o, text, size) < 0) {
    abort();
  }
  require_lines(&o.bytes, false);
  memcpy(s, text, size);
  s[size] = '\0';
  bool utf8 = size & 1;
  if (dsn_decode_orcpt(&decoded, s, utf8) < 0 ||
      dsn_put_folded(&field, "X: ", " ", decoded.data ? decoded.data : "", decoded.len, utf8) < 0) {
    abort();
  }
  require_lines(&field, true);
  free(s);
  buf_free(&o.bytes);
  buf_free(&field);
  buf_free(&decoded);
  return 0;
}
