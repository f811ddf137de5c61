/*
 * DATA: the first byte says how to cut the rest; cut and whole must agree, and
 * what comes out must be clean. A slow and simple model finds the end again.
 */
#include "data.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
  struct buf content, log;
  struct data d;
  size_t used;
};

static void require(bool good)
{
  if (!good) {
    abort();
  }
}

static void keep_content(void *arg, const char *bytes, size_t len)
{
  buf_append(&((struct result *)arg)->content, bytes, len);
}

static void keep_header(void *arg, const char *field, size_t len)
{
  struct result *r = arg;

  require(len > 0 && !memchr(field, '\n', len) && !memchr(field, '\r', len));
  buf_append(&r->log, field, len);
  buf_append_char(&r->log, '\n');
}

static void run(struct result *r, const char *s, size_t len, size_t piece, bool normalize)
{
  *r = (struct result){.content = BUF_INIT(1 << 22), .log = BUF_INIT(1 << 22)};
  data_begin(&r->d);
  r->d.normalize = normalize;
  r->d.content = keep_content;
  r->d.header = keep_header;
  r->d.arg = r;
  while (r->used < len && !data_ended(&r->d)) {
    size_t n = len - r->used < piece ? len - r->used : piece;
    r->used += data_feed(&r->d, s + r->used, n);
  }
}

/* Where CRLF "." CRLF ends, the DATA command's own CRLF included; 0 if nowhere. */
static size_t find_end(const char *s, size_t len)
{
  if (len >= 3 && memcmp(s, ".\r\n", 3) == 0) {
    return 3;
  }
  const char *p = len >= 5 ? memmem(s, len, "\r\n.\r\n", 5) : NULL;
  return p ? (size_t)(p + 5 - s) : 0;
}

static void check_content(const struct buf *b)
{
  for (size_t i = 0; i < b->len; i++) {
    require(b->data[i] != '\0');
    require(b->data[i] != '\n' || (i > 0 && b->data[i - 1] == '\r'));
    require(b->data[i] != '\r' || (i + 1 < b->len && b->data[i + 1] == '\n'));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2) {
    return 0;
  }
  const char *s = (const char *)data + 1;
  size_t len = size - 1, end = find_end(s, len), piece = (size_t)(data[0] >> 1) + 1;
  bool normalize = data[0] & 1;
  struct result whole, cut;

  run(&whole, s, len, len, normalize);
  run(&cut, s, len, piece, normalize);
  require(data_ended(&whole.d) == (end > 0) && whole.used == (end ? end : len));
  require(whole.used == cut.used && whole.d.state == cut.d.state);
  require(whole.d.defect == cut.d.defect && whole.d.defect_line == cut.d.defect_line);
  require(whole.d.size == cut.d.size && whole.d.hops == cut.d.hops);
  require(whole.log.len == cut.log.len &&
          (!whole.log.len || memcmp(whole.log.data, cut.log.data, cut.log.len) == 0));
  if (whole.d.defect == DATA_SOUND) {
    require(
      whole.content.len == cut.content.len && whole.content.len == whole.d.size &&
      (!cut.content.len || memcmp(whole.content.data, cut.content.data, cut.content.len) == 0));
    if (end) {
      check_content(&whole.content);
    }
  }
  struct result *both[] = {&whole, &cut};
  for (int i = 0; i < 2; i++) {
    buf_free(&both[i]->content);
    buf_free(&both[i]->log);
    data_free(&both[i]->d);
  }
  return 0;
}
