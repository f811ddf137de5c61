/*
 * The content of a message: header fields are put out unfolded, as relay-smtpd
 * does it (relay-smtpd/data.c); of the body every byte is counted and none kept.
 * Nothing here looks at the text of a body: only at a line's first two bytes
 * and its last.
 */
#include "session.h"

#include <string.h>

void content_start(struct follow *f, struct track *k, bool header)
{
  text_clear(&f->tracks, &k->content.field);
  k->content = (struct content){.in_header = header, .after_crlf = true};
}

static void put_field(struct follow *f, struct track *k, char direction)
{
  struct text *field = &k->content.field;
  size_t n = fieldnames_length(field->data, field->len);

  if (n > 0 && fieldnames_wanted(&f->outlet->fields, field->data, n)) {
    outlet_put(f->outlet, k->pid, direction, field->data, field->len, field->more);
  }
  field->len = 0;
  field->more = 0;
}

static void end_header(struct follow *f, struct track *k, char direction)
{
  put_field(f, k, direction);
  text_clear(&f->tracks, &k->content.field);
  k->content.in_header = false;
}

/* The last byte that was added. */
static void take_back(struct text *field)
{
  if (field->more > 0) {
    field->more--;
  } else if (field->len > 0) {
    field->len--;
  }
}

static void take_header(struct follow *f, struct track *k, char direction, const char *p,
                        size_t len)
{
  struct content *c = &k->content;
  const char *cr, *nul;

  if (c->line_len == 0) {
    /* RFC 5322 2.2.3: a line that begins with a blank belongs to the field before. */
    if (c->field.len == 0 || (*p != ' ' && *p != '\t')) {
      put_field(f, k, direction);
      c->fresh = true;
    }
  } else if (c->last_cr) { /* a CR inside the line, as below */
    take_back(&c->field);
    end_header(f, k, direction);
    return;
  }
  cr = memchr(p, '\r', len - 1);
  nul = memchr(p, '\0', len);
  if (cr && (!nul || cr < nul)) {
    len = (size_t)(cr - p);
  } else if (nul) {
    len = (size_t)(nul - p);
  }
  text_add(&f->tracks, &c->field, p, len);
  if (cr || nul) {
    /* Where the header ends now, server and client may not agree. What is before is of it. */
    end_header(f, k, direction);
  }
}

static void end_header_line(struct follow *f, struct track *k, char direction, bool dots)
{
  struct content *c = &k->content;
  struct text *field = &c->field;
  uint64_t len = c->line_len - c->last_cr;

  if (c->last_cr) {
    take_back(field);
  }
  if (len == 0) {
    end_header(f, k, direction);
    return;
  }
  if (!c->fresh) {
    return;
  }
  if (dots && field->len > 0 && field->data[0] == '.') { /* RFC 5321 4.5.2 */
    field->len--;
    memmove(field->data, field->data + 1, field->len);
  }
  /* What is no field begins the body, though no empty line came before it. */
  if (fieldnames_length(field->data, field->len) == 0) {
    end_header(f, k, direction);
  }
}

static void begin_line(struct content *c)
{
  c->after_crlf = c->last_cr;
  c->line_len = 0;
  c->last_cr = false;
  c->fresh = false;
}

enum content_result content_take(struct follow *f, struct track *k, char direction, const char *p,
                                 size_t len, bool newline, bool dots)
{
  struct content *c = &k->content;
  enum content_result result = CONTENT_GOES_ON;

  c->bytes += len + newline;
  if (len > 0) {
    if (c->in_header) {
      take_header(f, k, direction, p, len);
    }
    if (c->line_len == 0) {
      c->dot = *p == '.';
    }
    c->line_len += len;
    c->last_cr = p[len - 1] == '\r';
  }
  if (!newline) {
    return result;
  }
  if (dots && c->dot && c->line_len == 1 + (uint64_t)c->last_cr) {
    result = c->last_cr && c->after_crlf ? CONTENT_END : CONTENT_SOFT_END;
  }
  if (c->in_header) {
    end_header_line(f, k, direction, dots);
  }
  if (result == CONTENT_END) {
    c->bytes -= c->line_len + 1;
  }
  begin_line(c);
  return result;
}

void content_finish(struct follow *f, struct track *k, char direction)
{
  struct content *c = &k->content;

  if (c->in_header) {
    if (c->line_len > 0) {
      end_header_line(f, k, direction, true);
    }
    end_header(f, k, direction);
  }
}
