/*
 * DATA. What is handed on as content are the longest runs of input bytes that
 * need no change, so that a piece of input without leading dots is one call.
 * The body is looked at in blocks (crlf.h), and with memchr() where these have
 * something in them; the header also line by line.
 */
#include "data.h"

#include "crlf.h"
#include "scan.h"

#include <string.h>

void data_begin(struct data *d)
{
  *d = (struct data){.max = UINT64_MAX,
                     .line = 1,
                     .in_header = true,
                     .field_fresh = true,
                     .field = BUF_INIT(DATA_FIELD_MAX)};
}

void data_free(struct data *d)
{
  buf_free(&d->field);
}

/* Bytes of content, unchanged. */
static void hand_on(struct data *d, const char *bytes, size_t len)
{
  if (len == 0) {
    return;
  }
  d->size += len;
  if (d->size > d->max) {
    d->too_big = true;
  }
  if (!data_refused(d)) {
    d->content(d->arg, bytes, len);
  }
}

/* --- the header, for the log and the hop count */

static void end_field(struct data *d)
{
  if (d->field.len == 0) {
    return;
  }
  if (scan_case_prefix(d->field.data, d->field.len, "Received:")) {
    d->hops++;
  }
  if (d->header) {
    d->header(d->arg, d->field.data, d->field.len);
  }
  buf_reset(&d->field);
}

static void end_header(struct data *d)
{
  if (d->in_header) {
    end_field(d);
    d->in_header = false;
    buf_free(&d->field);
  }
}

/* More bytes of the current header line, without its line end. */
static void add_to_field(struct data *d, const char *s, size_t len)
{
  if (len == 0) {
    return;
  }
  if (d->field_fresh) {
    /* RFC 5322 2.2.3: a line that begins with a blank belongs to the field before. */
    if (*s != ' ' && *s != '\t') {
      end_field(d);
    }
    d->field_fresh = false;
  }
  size_t room = d->field.max - d->field.len;
  /* Out of memory: the log lacks something, the mail does not. */
  (void)buf_append(&d->field, s, len < room ? len : room);
}

/* RFC 5322 2.2: is what was collected "name:"? A folded line without a field is none. */
static bool is_field(const struct buf *field)
{
  const char *colon = field->len ? memchr(field->data, ':', field->len) : NULL;

  if (!colon || colon == field->data) {
    return false;
  }
  /* Obsolete syntax has blanks before the colon (RFC 5322 4.5). */
  while (colon > field->data && colon[-1] == ' ') {
    colon--;
  }
  for (const char *p = field->data; p < colon; p++) {
    if (*p <= ' ' || *p >= 0x7f) {
      return false;
    }
  }
  return colon > field->data;
}

static void end_header_line(struct data *d)
{
  bool blank = d->field_fresh;

  d->field_fresh = true;
  /* What is no field begins the body, though no empty line came before it: not for the log. */
  if (!blank && !is_field(&d->field)) {
    buf_reset(&d->field);
  }
  if (blank || d->field.len == 0) {
    end_header(d);
  }
}

/* --- the lines */

static void set_defect(struct data *d, enum data_defect defect)
{
  if (d->defect == DATA_SOUND) {
    d->defect = defect;
    d->defect_line = d->line;
    /* Where such a message's header ends is anybody's guess. The line that it happened in
     * may be body already ("...: x\r\r..."), but what is before the defect is of the field. */
    if (d->in_header && !is_field(&d->field)) {
      buf_reset(&d->field);
    }
    end_header(d);
  }
}

static void end_line(struct data *d)
{
  if (d->in_header) {
    end_header_line(d);
  }
  d->line++;
}

/* len bytes of a line's text, no LF in them; a CR or NUL in them is a defect. */
static void take_text(struct data *d, const char *s, size_t len)
{
  const char *cr, *nul;

  if (d->defect != DATA_SOUND || len == 0) {
    return;
  }
  cr = memchr(s, '\r', len);
  nul = memchr(s, '\0', len);
  if (d->in_header) {
    const char *stop = cr && (!nul || cr < nul) ? cr : nul ? nul : s + len;
    add_to_field(d, s, (size_t)(stop - s));
  }
  if (cr && (!nul || cr < nul)) {
    set_defect(d, DATA_BARE_CR);
  } else if (nul) {
    set_defect(d, DATA_NUL);
  }
}

/* A bare LF at *p, run being what was not handed on yet. Returns the new start of the run. */
static const char *take_bare_lf(struct data *d, const char *run, const char *p)
{
  if (!d->normalize) {
    set_defect(d, DATA_BARE_LF);
  }
  hand_on(d, run, (size_t)(p - run));
  hand_on(d, d->normalize ? "\r\n" : "\n", d->normalize ? 2 : 1);
  end_line(d);
  /* Not DATA_LINE_START: a dot that follows is a dot. */
  d->state = DATA_TEXT;
  return p + 1;
}

/*
 * In the middle of a line: everything up to its end, or to the end of the
 * input. *run moves only where bytes are changed.
 */
static const char *feed_text(struct data *d, const char *p, const char *end, const char **run)
{
  const char *lf = memchr(p, '\n', (size_t)(end - p));
  const char *stop = lf ? lf : end;

  if (stop > p && stop[-1] == '\r') {
    take_text(d, p, (size_t)(stop - 1 - p));
    d->state = DATA_CR;
    return stop; /* the LF, if it is there, is DATA_CR's */
  }
  take_text(d, p, (size_t)(stop - p));
  if (lf) {
    *run = take_bare_lf(d, *run, lf);
    return lf + 1;
  }
  return end;
}

/* Behind CRLF "." CR. */
static bool feed_dot_cr(struct data *d, const char *p)
{
  if (*p == '\n') {
    d->state = DATA_ENDED;
    return true;
  }
  set_defect(d, DATA_BARE_CR);
  d->state = *p == '\r' ? DATA_CR : DATA_TEXT;
  return *p == '\r';
}

/* One state at one byte; returns where to go on. */
static const char *step(struct data *d, const char *p, const char *end, const char **run)
{
  switch (d->state) {
  case DATA_LINE_START:
    if (*p == '.') {
      hand_on(d, *run, (size_t)(p - *run));
      *run = p + 1;
      d->state = DATA_DOT;
      return p + 1;
    }
    d->state = DATA_TEXT;
    return p;
  case DATA_DOT:
    /* The dot is gone: it was stuffing or is the end. */
    d->state = *p == '\r' ? DATA_DOT_CR : DATA_TEXT;
    *run = *p == '\r' ? p + 1 : p;
    return *run;
  case DATA_DOT_CR:
    *run = feed_dot_cr(d, p) ? p + 1 : p;
    return *run;
  case DATA_CR:
    if (*p == '\n') {
      end_line(d);
      d->state = DATA_LINE_START;
      return p + 1;
    }
    set_defect(d, DATA_BARE_CR);
    d->state = *p == '\r' ? DATA_CR : DATA_TEXT;
    return *p == '\r' ? p + 1 : p;
  default:
    return feed_text(d, p, end, run);
  }
}

/*
 * In a sound body, text that needs no second look: most of all input. What
 * stands before p tells what p's line has begun with.
 */
static const char *skip_plain(struct data *d, const char *p, const char *end)
{
  size_t n;

  if (d->in_header || d->defect != DATA_SOUND ||
      (d->state != DATA_TEXT && d->state != DATA_LINE_START)) {
    return p;
  }
  n = crlf_plain(p, (size_t)(end - p), &d->line);
  if (n > 0) {
    p += n;
    d->state = p[-1] == '\n' ? DATA_LINE_START : p[-1] == '\r' ? DATA_CR : DATA_TEXT;
  }
  return p;
}

size_t data_feed(struct data *d, const char *bytes, size_t len)
{
  const char *p = bytes, *end = bytes + len, *run = bytes;

  while (p < end && d->state != DATA_ENDED) {
    if (p > bytes) {
      p = skip_plain(d, p, end);
    }
    if (p < end) {
      p = step(d, p, end, &run);
    }
  }
  hand_on(d, run, (size_t)(p - run));
  if (d->state == DATA_ENDED) {
    end_header(d); /* a message without body */
  }
  return (size_t)(p - bytes);
}
