/*
 * The whole DSN: header, three parts (RFC 6522 3), its own envelope, a sealed
 * memfd.
 */
#include "dsn.h"
#include "dsn_field.h"

#include "clock.h"
#include "intake.h"
#include "io.h"
#include "memfd.h"
#include "scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BOUNDARY_TRIES 10 /* of 128 random bits each */

static int read_envelope(struct dsn *d, int fd)
{
  size_t len = (size_t)d->job->head.envelope_len;
  char *data = malloc(len + 1);
  int result = -1;

  if (data && io_pread_all(fd, data, len, 0) == 0) {
    result = envelope_decode(&d->original, data, len);
  }
  free(data);
  return result;
}

static int choose_boundary(struct dsn *d)
{
  const struct buf *o = &d->returned.bytes;

  for (int i = 0; i < BOUNDARY_TRIES; i++) {
    uint64_t r[2];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r) {
      return -1;
    }
    snprintf(d->boundary, sizeof d->boundary, "=_%016llx%016llx", (unsigned long long)r[0],
             (unsigned long long)r[1]);
    if (o->len == 0 || !memmem(o->data, o->len, d->boundary, strlen(d->boundary))) {
      return 0;
    }
  }
  errno = EIO;
  return -1;
}

static const char *subject(char kind)
{
  switch (kind) {
  case 'f':
    return "Undelivered mail returned to sender";
  case 'd':
    return "Delayed mail: still being tried";
  default:
    return "Mail relayed: delivery status";
  }
}

/* Field by field, as the message's header; parts 1 and 2 are made before it, to know eight_bit. */
static int put_header(struct dsn *d, struct buf *out, bool eight_bit)
{
  const char *me = d->config->me, *about = d->returned.message_id;
  char date[CLOCK_RFC5322_SIZE];

  clock_format_rfc5322(d->job->head.now, date);
  if (buf_printf(out,
                 "Received: by %s (relay-bounce)\r\n\tid %s; %s\r\n"
                 "Date: %s\r\n"
                 "From: Mail Delivery System <%s>\r\n"
                 "To: <%s>\r\n"
                 "Subject: %s\r\n"
                 "Message-ID: <%s@%s>\r\n",
                 me, d->id, date, date, d->config->from, d->to, subject(d->job->head.kind), d->id,
                 me) < 0) {
    return -1;
  }
  if (about[0] && buf_printf(out, "In-Reply-To: %s\r\nReferences: %s\r\n", about, about) < 0) {
    return -1;
  }
  return buf_printf(out,
                    "Auto-Submitted: auto-replied\r\n"
                    "MIME-Version: 1.0\r\n"
                    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                    "\tboundary=\"%s\"\r\n"
                    "Content-Transfer-Encoding: %s\r\n"
                    "\r\n"
                    "This is a delivery status notification in MIME format.\r\n",
                    d->boundary, eight_bit ? "8bit" : "7bit");
}

static int put_part_head(struct buf *out, const char *boundary, const char *description,
                         const char *type, bool eight_bit)
{
  return buf_printf(out,
                    "\r\n--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n"
                    "Content-Transfer-Encoding: %s\r\n\r\n",
                    boundary, description, type, eight_bit ? "8bit" : "7bit");
}

static int put_part(struct dsn *d, struct buf *out, const char *description, const char *type,
                    const struct buf *body)
{
  bool eight_bit = body->len && !scan_ascii_only(body->data, body->len);

  return put_part_head(out, d->boundary, description, type, eight_bit) < 0 ||
             buf_append(out, body->data, body->len) < 0
           ? -1
           : 0;
}

static const char *returned_type(const struct dsn *d)
{
  bool utf8 = d->global && d->returned.header_utf8;

  if (d->returned.full) {
    return utf8 ? "message/global" : "message/rfc822";
  }
  return utf8 ? "message/global-headers" : "text/rfc822-headers";
}

static bool has_eight_bit(const struct buf *b)
{
  return b->len && !scan_ascii_only(b->data, b->len);
}

/* The content; *eight_bit says what its envelope must. */
static int put_content(struct dsn *d, struct buf *out, bool *eight_bit)
{
  struct buf text = BUF_INIT(DSN_CONTENT_MAX), status = BUF_INIT(DSN_CONTENT_MAX);
  int result = -1;

  d->out = text;
  int bad = dsn_put_text(d);
  text = d->out;
  d->out = status;
  bad = bad < 0 || dsn_put_status(d) < 0;
  status = d->out;
  if (bad) {
    goto cleanup;
  }
  *eight_bit = has_eight_bit(&text) || has_eight_bit(&status) || d->returned.eight_bit;
  const char *text_type =
    has_eight_bit(&text) ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii";
  if (put_header(d, out, *eight_bit) < 0 ||
      put_part(d, out, "Notification", text_type, &text) < 0 ||
      put_part(d, out, "Delivery report",
               d->global ? "message/global-delivery-status" : "message/delivery-status",
               &status) < 0 ||
      put_part(d, out, d->returned.full ? "Undelivered message" : "Message header",
               returned_type(d), &d->returned.bytes) < 0 ||
      buf_printf(out, "\r\n--%s--\r\n", d->boundary) < 0) {
    goto cleanup;
  }
  result = 0;

cleanup:
  buf_free(&text);
  buf_free(&status);
  d->out = BUF_INIT(0);
  return result;
}

/*
 * The DSN's own envelope. Its recipient has no NOTIFY: the null sender alone
 * keeps its failure from being told to anybody but control/doublebounceto.
 */
static int put_envelope(const struct dsn *d, struct buf *out, bool eight_bit)
{
  struct envelope e;
  int result = -1;

  envelope_init(&e);
  memcpy(e.id, d->id, sizeof e.id);
  memcpy(e.tenant, d->original.tenant, sizeof e.tenant);
  snprintf(e.client, sizeof e.client, "relay-bounce");
  e.arrival = d->job->head.now;
  e.flags = ENVELOPE_DSN | (eight_bit ? ENVELOPE_8BITMIME : 0) |
            (d->bounced_double ? ENVELOPE_DOUBLE : 0) |
            (scan_ascii_only(d->to, strlen(d->to)) ? 0 : ENVELOPE_SMTPUTF8);
  if (envelope_add_rcpt(&e, d->to, 0, "") == 0) {
    result = envelope_encode(&e, out);
  }
  envelope_free(&e);
  return result;
}

static int make_memfd(const struct buf *envelope, const struct buf *content)
{
  int fd = memfd_make("relay-dsn");

  if (fd < 0) {
    return -1;
  }
  if (io_pwrite_all(fd, envelope->data, envelope->len, 0) < 0 ||
      io_pwrite_all(fd, content->data, content->len, (off_t)envelope->len) < 0 ||
      memfd_seal(fd) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

/* 1 with a DSN in dsn_fd; -1 with errno. */
static int write_dsn(struct dsn *d, struct bounce_answer *answer, int *dsn_fd)
{
  struct buf content = BUF_INIT(DSN_CONTENT_MAX + DSN_ORIGINAL_MAX), envelope = BUF_INIT(65536);
  bool eight_bit = false;
  int result = -1;

  id_mint(d->id);
  if (choose_boundary(d) == 0 && put_content(d, &content, &eight_bit) == 0 &&
      put_envelope(d, &envelope, eight_bit) == 0) {
    *dsn_fd = make_memfd(&envelope, &content);
    if (*dsn_fd >= 0) {
      answer->envelope_len = envelope.len;
      answer->content_len = content.len;
      snprintf(answer->text, sizeof answer->text, "%s", d->id);
      result = 1;
    }
  }
  buf_free(&content);
  buf_free(&envelope);
  return result;
}

static int compose(struct dsn *d, int fd, struct bounce_answer *answer, int *dsn_fd)
{
  const struct bounce_job *head = &d->job->head;
  const char *why = NULL;

  errno = EINVAL;
  if (head->content_len > INTAKE_CONTENT_MAX || read_envelope(d, fd) < 0) {
    return -1;
  }
  int go_on = dsn_plan(d, &why);
  if (go_on != 1) {
    snprintf(answer->text, sizeof answer->text, "%s", why);
    return go_on;
  }
  /* RFC 3461 4.3: RET is for failures only; without RET the choice is ours. */
  bool full = head->kind == 'f' && d->original.ret == ENVELOPE_RET_FULL;
  if (dsn_original_read(&d->returned, fd, head->envelope_len, head->content_len,
                        full ? d->config->original_max : 0) < 0) {
    return -1;
  }
  d->global = d->global || ((d->original.flags & ENVELOPE_SMTPUTF8) && d->returned.header_utf8);
  return write_dsn(d, answer, dsn_fd);
}

int dsn_compose(const struct dsn_config *c, const struct dsn_job *job, int fd,
                struct bounce_answer *answer, int *dsn_fd)
{
  struct dsn d = {.config = c, .job = job};
  int result = -1;

  *dsn_fd = -1;
  *answer = (struct bounce_answer){.serial = job->head.serial};
  envelope_init(&d.original);
  d.due = calloc(job->head.rcpt_count + 1, sizeof *d.due);
  if (d.due) {
    result = compose(&d, fd, answer, dsn_fd);
  }
  if (result < 0) {
    snprintf(answer->text, sizeof answer->text, "unable to compose: %s", strerror(errno));
    result = 0;
  }
  answer->ok = result;
  envelope_free(&d.original);
  buf_free(&d.returned.bytes);
  free(d.due);
  return result;
}
