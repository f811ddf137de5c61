/* DATA: the smuggling table, every input cut in two at every offset, and byte by byte. */
#include "data.h"

#include "check.h"

#include <stdlib.h>

struct outcome {
  struct buf content, log;
  size_t used;
  bool ended, too_big;
  uint64_t size, line;
  unsigned hops;
  enum data_defect defect;
};

static void keep_content(void *arg, const char *bytes, size_t len)
{
  struct outcome *o = arg;
  buf_append(&o->content, bytes, len);
}

static void keep_header(void *arg, const char *field, size_t len)
{
  struct outcome *o = arg;
  buf_append(&o->log, field, len);
  buf_append_char(&o->log, '|');
}

/* Feeds input in pieces that end at first, then of step bytes. */
static void run(struct outcome *o, const char *input, size_t len, size_t first, size_t step,
                bool normalize, uint64_t max)
{
  struct data d;
  size_t at = 0, piece = first;

  *o = (struct outcome){.content = BUF_INIT(1 << 20), .log = BUF_INIT(1 << 20)};
  data_begin(&d);
  d.normalize = normalize;
  d.max = max;
  d.content = keep_content;
  d.header = keep_header;
  d.arg = o;
  while (at < len && !data_ended(&d)) {
    size_t n = piece < len - at ? piece : len - at;
    /* A copy of exact size, so that the sanitizer sees a read past it. */
    char *copy = malloc(n ? n : 1);
    memcpy(copy, input + at, n);
    at += data_feed(&d, copy, n);
    free(copy);
    piece = step;
  }
  o->used = at;
  o->ended = data_ended(&d);
  o->too_big = d.too_big;
  o->size = d.size;
  o->line = d.defect_line;
  o->hops = d.hops;
  o->defect = d.defect;
  buf_cstr(&o->content);
  data_free(&d);
}

static void release(struct outcome *o)
{
  buf_free(&o->content);
  buf_free(&o->log);
}

static int same(const struct outcome *a, const struct outcome *b)
{
  bool content =
    a->defect != DATA_SOUND || a->too_big ||
    (a->content.len == b->content.len &&
     (a->content.len == 0 || memcmp(a->content.data, b->content.data, a->content.len) == 0));
  return content && a->log.len == b->log.len &&
         (a->log.len == 0 || memcmp(a->log.data, b->log.data, a->log.len) == 0) &&
         a->used == b->used && a->ended == b->ended && a->too_big == b->too_big &&
         a->size == b->size && a->line == b->line && a->hops == b->hops && a->defect == b->defect;
}

#define B(s) s, sizeof(s) - 1
static const struct {
  const char *input;
  size_t len;
  bool normalize;
  size_t used;         /* 0: all of it, and it has ended; (size_t)-1: not ended */
  const char *content; /* NULL: refused */
  enum data_defect defect;
  unsigned line;
  const char *log;
} cases[] = {
  {B(".\r\n"), false, 0, "", DATA_SOUND, 0, ""},
  {B("\r\n.\r\n"), false, 0, "\r\n", DATA_SOUND, 0, ""},
  {B("a\r\n.\r\n"), false, 0, "a\r\n", DATA_SOUND, 0, ""},
  {B("a\r\n.\r\nQUIT\r\n"), false, 6, "a\r\n", DATA_SOUND, 0, ""},
  {B("..\r\n.\r\n"), false, 0, ".\r\n", DATA_SOUND, 0, ""},
  {B("...\r\n.\r\n"), false, 0, "..\r\n", DATA_SOUND, 0, ""},
  {B(".a\r\n.\r\n"), false, 0, "a\r\n", DATA_SOUND, 0, ""},
  {B(".. \r\n. \r\n.\r\n"), false, 0, ". \r\n \r\n", DATA_SOUND, 0, ""},
  {B("a.\r\n.b\r\n..c\r\n.\r\n"), false, 0, "a.\r\nb\r\n.c\r\n", DATA_SOUND, 0, ""},
  {B("a\r\n."), false, (size_t)-1, "a\r\n", DATA_SOUND, 0, ""},
  {B("a\r\n.\r"), false, (size_t)-1, "a\r\n", DATA_SOUND, 0, ""},
  /* the smuggling table: none of these is the end */
  {B("a\n.\n.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, ""},
  {B("a\n.\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, ""},
  {B("a\n.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, ""},
  {B("a\r\n.\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 2, ""},
  {B("a\r.\rx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 1, ""},
  {B("a\r.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 1, ""},
  {B("a\r\n.\rx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 2, ""},
  {B("a\r\n.\r\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 2, ""},
  {B("a\r\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 1, ""},
  {B("a\r\n\r.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 2, ""},
  {B("a\r\n\n.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 2, ""},
  {B("a\n\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, ""},
  {B("a\r\n\0.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_NUL, 2, ""},
  {B("a\r\n.\0\r\nx\r\n.\r\n"), false, 0, NULL, DATA_NUL, 2, ""},
  {B("a\r\0\n.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 1, ""},
  {B("a\r\n.\r\0\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 2, ""},
  {B(".\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, ""},
  {B(".\rx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 1, ""},
  {B("\n.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, ""},
  {B("\r.\r\nx\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 1, ""},
  /* normalized: bare LF ends lines, but never has part in the end */
  {B("a\n.\n.\r\nx\r\n.\r\n"), true, 0, "a\r\n.\r\n.\r\nx\r\n", DATA_SOUND, 0, ""},
  {B("a\n.\r\nx\r\n.\r\n"), true, 0, "a\r\n.\r\nx\r\n", DATA_SOUND, 0, ""},
  {B("a\r\n.\nx\r\n.\r\n"), true, 0, "a\r\n\r\nx\r\n", DATA_SOUND, 0, ""},
  {B("a\n..b\r\n.\r\n"), true, 0, "a\r\n..b\r\n", DATA_SOUND, 0, ""},
  {B("\n.\r\n.\r\n"), true, 0, "\r\n.\r\n", DATA_SOUND, 0, ""},
  {B("a\n\r\n.\r\n"), true, 0, "a\r\n\r\n", DATA_SOUND, 0, ""},
  {B("a\n\r.\r\n.\r\n"), true, 0, NULL, DATA_BARE_CR, 2, ""},
  {B("a\0\n.\r\n.\r\n"), true, 0, NULL, DATA_NUL, 1, ""},
  /* header lines for the log */
  {B("A: 1\r\nB: 2\r\n x\r\n\ty\r\n\r\nC: 3\r\n.\r\n"), false, 0,
   "A: 1\r\nB: 2\r\n x\r\n\ty\r\n\r\nC: 3\r\n", DATA_SOUND, 0, "A: 1|B: 2 x\ty|"},
  {B("A: 1\r\n.\r\n"), false, 0, "A: 1\r\n", DATA_SOUND, 0, "A: 1|"},
  {B("A: 1\r\nno field\r\nB: 2\r\n.\r\n"), false, 0, "A: 1\r\nno field\r\nB: 2\r\n", DATA_SOUND, 0,
   "A: 1|"},
  {B(" x: y\r\nB: 2\r\n.\r\n"), false, 0, " x: y\r\nB: 2\r\n", DATA_SOUND, 0, ""},
  {B("A : 1\r\n: 2\r\nB: 3\r\n.\r\n"), false, 0, "A : 1\r\n: 2\r\nB: 3\r\n", DATA_SOUND, 0,
   "A : 1|"},
  {B("..A: 1\r\nB: 2\r\n.\r\n"), false, 0, ".A: 1\r\nB: 2\r\n", DATA_SOUND, 0, ".A: 1|B: 2|"},
  {B("A: 1\nB: 2\n\nbody\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, "A: 1|"},
  {B("A: 1\nB: 2\n\nbody\r\n.\r\n"), true, 0, "A: 1\r\nB: 2\r\n\r\nbody\r\n", DATA_SOUND, 0,
   "A: 1|B: 2|"},
  {B("A: 1\r\rbody: x\r\n.\r\n"), false, 0, NULL, DATA_BARE_CR, 1, "A: 1|"},
  {B("A: 1\0body\r\n.\r\n"), false, 0, NULL, DATA_NUL, 1, "A: 1|"},
  {B("body\n\n\r\n.\r\n"), false, 0, NULL, DATA_BARE_LF, 1, ""},
};

static void check_case(size_t i)
{
  const char *input = cases[i].input;
  size_t len = cases[i].len;
  struct outcome whole, split;

  run(&whole, input, len, len, len, cases[i].normalize, UINT64_MAX);
  bool ended = cases[i].used != (size_t)-1;
  CHECK_INT(whole.ended, ended);
  CHECK_INT(whole.used, ended && cases[i].used ? cases[i].used : len);
  CHECK_INT(whole.defect, cases[i].defect);
  CHECK_INT(whole.line, cases[i].line);
  if (cases[i].content) {
    CHECK_STR(buf_cstr(&whole.content), cases[i].content);
    CHECK_INT(whole.size, strlen(cases[i].content));
  }
  CHECK_STR(buf_cstr(&whole.log), cases[i].log);
  if (check_failed) {
    fprintf(stderr, "  (case %zu)\n", i);
  }
  for (size_t at = 0; at <= len; at++) {
    for (int by_one = 0; by_one < 2; by_one++) {
      run(&split, input, len, at, by_one ? 1 : len, cases[i].normalize, UINT64_MAX);
      CHECK(same(&whole, &split));
      release(&split);
    }
  }
  release(&whole);
}

static void check_limits(void)
{
  static const char input[] = "1234\r\n56\r\n.\r\n";
  struct outcome o;

  run(&o, B(input), sizeof input - 1, 1, false, 10);
  CHECK(o.ended && !o.too_big);
  release(&o);
  run(&o, B(input), sizeof input - 1, 1, false, 9);
  CHECK(o.ended && o.too_big);
  CHECK_INT(o.size, 10);
  release(&o);
}

static void check_hops(void)
{
  struct buf b = BUF_INIT(1 << 20);
  struct outcome o;

  for (int i = 0; i < 101; i++) {
    buf_append_str(&b, i % 2 ? "Received: x\r\n\ty\r\n" : "rECEIVED:\r\n");
  }
  buf_append_str(&b, "X-Received: no\r\n\r\nReceived: no\r\n.\r\n");
  run(&o, b.data, b.len, b.len, 1, false, UINT64_MAX);
  CHECK_INT(o.hops, 101);
  release(&o);
  buf_free(&b);
}

/* A field over DATA_FIELD_MAX, and one line without end: memory stays bounded, content whole. */
static void check_long_field(void)
{
  struct buf b = BUF_INIT(1 << 20);
  struct outcome o;

  buf_append_str(&b, "Subject: ");
  for (int i = 0; i < 200000; i++) {
    buf_append_char(&b, 'x');
  }
  buf_append_str(&b, "\r\nTo: y\r\n.\r\n");
  run(&o, b.data, b.len, 1000, 4096, false, UINT64_MAX);
  CHECK(o.ended);
  CHECK_INT(o.content.len, b.len - 3);
  CHECK_INT(o.log.len, DATA_FIELD_MAX + 1 + 6);
  release(&o);
  buf_free(&b);
}

/*
 * A body of plain lines, which is taken in blocks, with something odd at each
 * place in them; byte by byte it never is.
 */
static void check_blocks(void)
{
  static const char head[] = "A: 1\r\n\r\n", line[] = "some thirty bytes of plain tex\r\n";
  static const struct {
    const char *s;
    size_t len;
  } odd[] = {{B("")}, {B("\r")}, {B("\n")}, {B("\0")}, {B("\r\n.")}, {B("\r\n..")}, {B("\n.")},
             {B("\r\n.\r\n")}, {B("\n.\n")}, {B("\r.\r\n")}, {B("\r\n.\n")}, {B("\r\r\n")}};
  char input[2000];
  struct outcome whole, single;

  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    for (size_t at = 0; at < 220; at++) {
      size_t len = 0;
      memcpy(input, head, len = sizeof head - 1);
      for (int n = 0; n < 20; n++, len += sizeof line - 1) {
        memcpy(input + len, line, sizeof line - 1);
      }
      memmove(input + sizeof head - 1 + at + odd[i].len, input + sizeof head - 1 + at,
              len - (sizeof head - 1) - at);
      memcpy(input + sizeof head - 1 + at, odd[i].s, odd[i].len);
      len += odd[i].len;
      memcpy(input + len, ".\r\n", 3);
      for (int normalize = 0; normalize < 2; normalize++) {
        run(&whole, input, len + 3, len + 3, 1, normalize, UINT64_MAX);
        run(&single, input, len + 3, 1, 1, normalize, UINT64_MAX);
        CHECK(whole.ended && same(&whole, &single));
        release(&whole);
        release(&single);
      }
    }
  }
}

int main(void)
{
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_case(i);
  }
  check_limits();
  check_hops();
  check_long_field();
  check_blocks();
  return check_done("smtpd_data_test");
}
