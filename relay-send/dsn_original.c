/*
 * What a DSN returns of its original. The whole is returned only if its lines
 * could be sent again as they are; otherwise its header, made so. Nothing
 * past that is read.
 */
#include "dsn.h"
#include "dsn_field.h"

#include "io.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

/* CRLF ends every line, no line is too long, and there is no NUL and no other CR or LF. */
static bool lines_are_clean(const char *s, size_t len)
{
  size_t column = 0;

  for (size_t i = 0; i < len; i++) {
    if (s[i] == '\r' && i + 1 < len && s[i + 1] == '\n') {
      column = 0;
      i++;
      continue;
    }
    if (s[i] == '\r' || s[i] == '\n' || s[i] == '\0' || ++column > DSN_LINE_MAX) {
      return false;
    }
  }
  return len == 0 || column == 0;
}

/* One line of the header, without its end: no control bytes but tabs, cut into lines that fit. */
static int put_header_line(struct buf *out, const char *s, size_t len)
{
  size_t column = 0;

  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    bool inside = (c & 0xc0) == 0x80; /* of a UTF-8 character, unless that is overlong garbage */
    if (column >= DSN_LINE_MAX - 8 && (!inside || column >= DSN_LINE_MAX - 1)) {
      if (buf_append_str(out, "\r\n ") < 0) {
        return -1;
      }
      column = 1;
    }
    if (buf_append_char(out, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c) < 0) {
      return -1;
    }
    column++;
  }
  return buf_append_str(out, "\r\n");
}

/* RFC 3834 3.1.5 wants the original's id in In-Reply-To; only a well-formed one goes there. */
static void note_message_id(struct dsn_original *o, const char *s, size_t len)
{
  static const char name[] = "message-id:";
  size_t skip = sizeof name - 1;

  if (o->message_id[0] || !scan_case_prefix(s, len, name)) {
    return;
  }
  while (skip < len && (s[skip] == ' ' || s[skip] == '\t')) {
    skip++;
  }
  s += skip;
  len -= skip;
  while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t')) {
    len--;
  }
  if (len < 3 || len >= sizeof o->message_id || s[0] != '<' || s[len - 1] != '>') {
    return;
  }
  for (size_t i = 1; i < len - 1; i++) {
    if (s[i] <= ' ' || s[i] > '~' || s[i] == '<' || s[i] == '>') {
      return;
    }
  }
  memcpy(o->message_id, s, len);
  o->message_id[len] = '\0';
}

/* A field's first or further line; anything else is no header. */
static bool is_header_line(const char *s, size_t len, bool first)
{
  size_t i = 0;

  if (!first && (s[0] == ' ' || s[0] == '\t')) {
    return true;
  }
  while (i < len && s[i] > ' ' && s[i] <= '~' && s[i] != ':') {
    i++;
  }
  while (i < len && (s[i] == ' ' || s[i] == '\t')) {
    i++; /* RFC 5322 4.5: blanks before the colon, of old */
  }
  return i > 0 && i < len && s[i] == ':';
}

int dsn_original_header(struct dsn_original *o, const char *data, size_t len)
{
  bool first = true;

  buf_reset(&o->bytes);
  o->full = false;
  while (len > 0) {
    const char *newline = memchr(data, '\n', len);
    if (!newline) {
      break; /* the header was cut in this line */
    }
    size_t whole = (size_t)(newline - data) + 1, n = whole - 1;
    if (n > 0 && data[n - 1] == '\r') {
      n--;
    }
    if (n == 0 || !is_header_line(data, n, first)) {
      break;
    }
    note_message_id(o, data, n);
    if (put_header_line(&o->bytes, data, n) < 0) {
      return -1;
    }
    first = false;
    data += whole;
    len -= whole;
  }
  bool ascii = scan_ascii_only(o->bytes.data ? o->bytes.data : "", o->bytes.len);
  o->eight_bit = !ascii;
  o->header_utf8 = !ascii && scan_utf8_valid(o->bytes.data, o->bytes.len);
  return 0;
}

int dsn_original_read(struct dsn_original *o, int fd, uint64_t offset, uint64_t len,
                      uint64_t full_max)
{
  bool want_full = full_max > 0 && len <= full_max;
  uint64_t most = want_full ? full_max : DSN_HEADER_MAX;
  size_t size = (size_t)(len < most ? len : most);
  char *data = malloc(size + 1);

  /* A header line of control bytes grows nowhere; folding adds 3 bytes in 990. */
  buf_init(&o->bytes, size > DSN_HEADER_MAX ? size : 2 * DSN_HEADER_MAX);
  if (!data || io_pread_all(fd, data, size, (off_t)offset) < 0) {
    goto fail;
  }
  size_t header = size < DSN_HEADER_MAX ? size : DSN_HEADER_MAX;
  if (dsn_original_header(o, data, header) < 0) {
    goto fail;
  }
  if (want_full && lines_are_clean(data, size)) {
    buf_reset(&o->bytes);
    if (buf_append(&o->bytes, data, size) < 0) {
      goto fail;
    }
    o->full = true;
    o->eight_bit = !scan_ascii_only(data, size);
  }
  free(data);
  return 0;

fail:
  free(data);
  return -1;
}
