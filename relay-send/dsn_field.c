/* The lines of a DSN: cleaned, folded, decoded. See dsn_field.h. */
#include "dsn_field.h"

#include "escape.h"
#include "scan.h"

#include <string.h>

#define WORD_MAX 900 /* a word cut here leaves room for any prefix within DSN_LINE_MAX */

/* Appends the text with all that could break out of a line escaped. */
static int put_clean(struct buf *out, const char *text, size_t len, bool utf8)
{
  char piece[256];
  size_t used = 0, written;

  while (used < len) {
    size_t n = escape_text(text + used, len - used, piece, sizeof piece, &written);
    if (n == 0) {
      return -1; /* cannot be: one character always fits */
    }
    used += n;
    for (size_t i = 0; i < written; i++) {
      unsigned char c = (unsigned char)piece[i];
      int bad = c >= 0x80 && !utf8 ? buf_printf(out, "\\x%02X", c) : buf_append_char(out, (char)c);
      if (bad < 0) {
        return -1;
      }
    }
  }
  return 0;
}

/* How many bytes of s, which begins with a word, go on this line. Never splits UTF-8. */
static size_t word_length(const char *s, size_t len)
{
  const char *blank = memchr(s, ' ', len);
  size_t n = blank ? (size_t)(blank - s) : len;

  if (n > WORD_MAX) {
    n = WORD_MAX;
    while (n > 1 && ((unsigned char)s[n] & 0xc0) == 0x80) {
      n--;
    }
  }
  return n;
}

static int put_words(struct buf *out, size_t column, const char *next, const char *s, size_t len)
{
  bool at_start = true;

  while (len > 0) {
    if (*s == ' ') { /* runs of blanks become one, and none ends a line */
      s++;
      len--;
      continue;
    }
    size_t n = word_length(s, len);
    size_t blank = at_start ? 0 : 1;
    if (!at_start && column + blank + n > DSN_FOLD_AT) {
      if (buf_printf(out, "\r\n%s", next) < 0) {
        return -1;
      }
      column = strlen(next);
      blank = 0;
    }
    if ((blank && buf_append_char(out, ' ') < 0) || buf_append(out, s, n) < 0) {
      return -1;
    }
    column += blank + n;
    at_start = false;
    s += n;
    len -= n;
  }
  return buf_append_str(out, "\r\n");
}

int dsn_put_folded(struct buf *out, const char *first, const char *next, const char *text,
                   size_t len, bool utf8)
{
  struct buf clean = BUF_INIT(4 * len + 16);
  int result = -1;

  if (put_clean(&clean, text, len, utf8) == 0 && buf_append_str(out, first) == 0) {
    result = put_words(out, strlen(first), next, buf_cstr(&clean), clean.len);
  }
  buf_free(&clean);
  return result;
}

int dsn_put_field(struct buf *out, const char *name, const char *text, bool utf8)
{
  char first[64];
  struct buf head = BUF_INIT(sizeof first - 1);

  int bad = buf_printf(&head, "%s: ", name);
  memcpy(first, buf_cstr(&head), head.len + 1);
  buf_free(&head);
  return bad < 0 ? -1 : dsn_put_folded(out, first, " ", text, strlen(text), utf8);
}

static int hex_value(char c)
{
  static const char digits[] = "0123456789ABCDEFabcdef";
  const char *at = c ? strchr(digits, c) : NULL;

  if (!at) {
    return -1;
  }
  return at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

int dsn_decode_xtext(struct buf *out, const char *s, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    int high = -1, low = -1;
    if (s[i] == '+' && len - i > 2) {
      high = hex_value(s[i + 1]);
      low = hex_value(s[i + 2]);
    }
    bool coded = high >= 0 && low >= 0;
    if (buf_append_char(out, coded ? (char)(16 * high + low) : s[i]) < 0) {
      return -1;
    }
    i += coded ? 2 : 0;
  }
  return 0;
}

static int put_utf8(struct buf *out, unsigned long c)
{
  char s[4];
  size_t n = 0;

  if (c < 0x80) {
    s[n++] = (char)c;
  } else if (c < 0x800) {
    s[n++] = (char)(0xc0 | c >> 6);
  } else if (c < 0x10000) {
    s[n++] = (char)(0xe0 | c >> 12);
    s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
  } else {
    s[n++] = (char)(0xf0 | c >> 18);
    s[n++] = (char)(0x80 | (c >> 12 & 0x3f));
    s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
  }
  if (c >= 0x80) {
    s[n++] = (char)(0x80 | (c & 0x3f));
  }
  return buf_append(out, s, n);
}

/* RFC 6533 3, EmbeddedUnicodeChar: "\x{", one to six hex digits, "}". Bytes used, 0 if it is none.
 */
static size_t scan_embedded(const char *s, size_t len, unsigned long *c)
{
  size_t i = 3;

  if (len < 5 || memcmp(s, "\\x{", 3) != 0) {
    return 0;
  }
  for (*c = 0; i < len && i < 9 && hex_value(s[i]) >= 0; i++) {
    *c = *c * 16 + (unsigned long)hex_value(s[i]);
  }
  bool surrogate = *c >= 0xd800 && *c < 0xe000;
  return i > 3 && i < len && s[i] == '}' && *c <= 0x10ffff && !surrogate ? i + 1 : 0;
}

static int decode_embedded(struct buf *out, const char *s, size_t len)
{
  while (len > 0) {
    unsigned long c;
    size_t n = scan_embedded(s, len, &c);
    if ((n ? put_utf8(out, c) : buf_append_char(out, *s)) < 0) {
      return -1;
    }
    n = n ? n : 1;
    s += n;
    len -= n;
  }
  return 0;
}

int dsn_decode_orcpt(struct buf *out, const char *orcpt, bool utf8)
{
  const char *semicolon = strchr(orcpt, ';');

  if (!semicolon) {
    return buf_append_str(out, orcpt);
  }
  const char *address = semicolon + 1;
  size_t type_len = (size_t)(semicolon - orcpt), len = strlen(address);
  if (buf_append(out, orcpt, type_len) < 0 || buf_append_str(out, "; ") < 0) {
    return -1;
  }
  if (!scan_case_equal(orcpt, type_len, "utf-8", 5)) {
    return dsn_decode_xtext(out, address, len);
  }
  /* In a message/delivery-status the ASCII form stays (RFC 6533 4). */
  return utf8 ? decode_embedded(out, address, len) : buf_append(out, address, len);
}
