#include "queue_inject.h"

#include "clock.h"
#include "io.h"
#include "memfd.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void inject_cleanse(struct envelope *e, uid_t uid)
{
  snprintf(e->tenant, sizeof(e->tenant), "local:%lu", (unsigned long)uid);
  snprintf(e->client, sizeof(e->client), "uid %lu", (unsigned long)uid);
  e->source[0] = e->destination[0] = e->helo[0] = e->auth[0] = '\0';
  e->priority = ENVELOPE_PRIORITY_DEFAULT;
  e->through = 0;
  e->arrival = clock_wall_ms();
  e->flags &= ENVELOPE_8BITMIME | ENVELOPE_SMTPUTF8;
}

/* RFC 5322 3.6.7; there is no "from" domain where there was no session. */
int inject_received(struct buf *b, const struct envelope *e, const char *me, uid_t uid)
{
  char date[CLOCK_RFC5322_SIZE];

  clock_format_rfc5322(e->arrival, date);
  return buf_printf(b, "Received: by %s (relay, from uid %lu)\r\n\tid %s; %s\r\n", me,
                    (unsigned long)uid, e->id, date);
}

int inject_rewrite(struct submission *s)
{
  struct buf in = BUF_INIT(SIZE_MAX / 2), out = BUF_INIT(SIZE_MAX / 2);
  size_t len = s->envelope_len + s->content_len, envelope_len;
  int fd = -1, result = -1;

  if (buf_reserve(&in, len) == -1 || io_pread_all(s->fd, in.data, len, 0) == -1 ||
      envelope_decode(&s->envelope, in.data, s->envelope_len) == -1) {
    goto cleanup;
  }
  inject_cleanse(&s->envelope, s->uid);
  if (envelope_encode(&s->envelope, &out) == -1) {
    goto cleanup;
  }
  envelope_len = out.len;
  if (inject_received(&out, &s->envelope, s->queue->config.me, s->uid) == -1 ||
      buf_append(&out, in.data + s->envelope_len, s->content_len) == -1) {
    goto cleanup;
  }
  fd = memfd_make("message");
  if (fd == -1 || io_pwrite_all(fd, out.data, out.len, 0) == -1 || memfd_seal(fd) == -1) {
    goto cleanup;
  }
  close(s->fd);
  s->fd = fd;
  s->envelope_len = envelope_len;
  s->content_len = out.len - envelope_len;
  fd = -1;
  result = 0;

cleanup:
  if (fd != -1) {
    close(fd);
  }
  envelope_reset(&s->envelope);
  buf_free(&in);
  buf_free(&out);
  return result;
}
