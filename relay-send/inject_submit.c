/* The submitter's side of run/inject (intake.h). */
#include "inject_submit.h"

#include "clock.h"
#include "intake.h"
#include "io.h"
#include "memfd.h"
#include "seqpacket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define CONNECT_MS 20000
#define ANSWER_MS 600000 /* relay-queue may wait for a disk, or for room; no caller waits longer   \
                          */
#define COPY_SIZE 65536

int inject_exit_status(int code, const char *text)
{
  if (code >= 200 && code < 300) {
    return EX_OK;
  }
  if (code < 500) {
    return EX_TEMPFAIL;
  }
  /* RFC 3463 3: 5.1 addresses, 5.3.4 and 5.2.3 size, 5.6 content, 5.7 policy. */
  if (code == 552 || strncmp(text, "5.3.4", 5) == 0 || strncmp(text, "5.6.", 4) == 0) {
    return EX_DATAERR;
  }
  if (strncmp(text, "5.1.", 4) == 0) {
    return EX_NOUSER;
  }
  return strncmp(text, "5.7.", 4) == 0 ? EX_NOPERM : EX_UNAVAILABLE;
}

/* One answer; with want_fd its fd or -1. 0, or a status with text. */
static int hear(int sock, struct intake_answer *a, int *passed_fd, char *text, size_t size)
{
  char data[2048];
  ssize_t n =
    seqpacket_recv_by(sock, data, sizeof data, passed_fd, clock_monotonic_ms() + ANSWER_MS);

  if (n > 0 && intake_get_answer(data, (size_t)n, a) == 0) {
    return 0;
  }
  snprintf(text, size,
           n == 0  ? "the relay ended before it answered"
           : n > 0 ? "the relay's answer was garbled"
                   : "no answer from the relay: %s",
           strerror(errno));
  return EX_TEMPFAIL;
}

static int ask(int sock, const struct buf *request, int passed_fd, char *text, size_t size)
{
  int64_t deadline = clock_monotonic_ms() + ANSWER_MS;

  if (seqpacket_send_by(sock, request->data, request->len, passed_fd, deadline) == 0) {
    return 0;
  }
  snprintf(text, size, "unable to send to the relay: %s", strerror(errno));
  return EX_TEMPFAIL;
}

static int copy_rest(int to, off_t offset, int from, uint64_t len)
{
  static char data[COPY_SIZE];

  for (uint64_t done = 0; done < len;) {
    size_t n = len - done < sizeof data ? (size_t)(len - done) : sizeof data;
    if (io_pread_all(from, data, n, (off_t)done) < 0 ||
        io_pwrite_all(to, data, n, offset + (off_t)done) < 0) {
      return -1;
    }
    done += n;
  }
  return 0;
}

static int write_message(int fd, const struct inject_message *m, const struct buf *envelope)
{
  off_t header = (off_t)envelope->len, body = header + (off_t)m->header->len;

  if (io_pwrite_all(fd, envelope->data, envelope->len, 0) < 0 ||
      io_pwrite_all(fd, m->header->data, m->header->len, header) < 0 ||
      io_pwrite_all(fd, m->body, m->body_len, body) < 0) {
    return -1;
  }
  return m->rest_len ? copy_rest(fd, body + (off_t)m->body_len, m->rest_fd, m->rest_len) : 0;
}

/* Asks for a file in queue/big/. 0 with *fd and name, or a status. */
static int get_big(int sock, int *fd, char name[INTAKE_NAME_SIZE], char *text, size_t size)
{
  struct buf request = BUF_INIT(64);
  struct intake_answer a;

  *fd = -1;
  int status = intake_put_big(&request) < 0 ? EX_OSERR : ask(sock, &request, -1, text, size);
  buf_free(&request);
  if (status == 0) {
    status = hear(sock, &a, fd, text, size);
  }
  if (status != 0) {
    return status;
  }
  if (a.verb == '+' && *fd >= 0 && a.text[0] && strlen(a.text) < INTAKE_NAME_SIZE) {
    memcpy(name, a.text, strlen(a.text) + 1);
    return 0;
  }
  snprintf(text, size, "%d %s", a.code, a.text);
  status = inject_exit_status(a.code, a.text);
  return status ? status : EX_TEMPFAIL;
}

/* The message in a memfd, or in a big file with its name. 0 with *fd (-1 for a name), or a status.
 */
static int store(int sock, const struct inject_message *m, const struct buf *envelope, bool big,
                 int *fd, char name[INTAKE_NAME_SIZE], char *text, size_t size)
{
  if (big) {
    int status = get_big(sock, fd, name, text, size);
    if (status != 0) {
      return status;
    }
  } else if ((*fd = memfd_make("relay-inject")) < 0) {
    goto fail;
  }
  if (write_message(*fd, m, envelope) < 0 || (!big && memfd_seal(*fd) < 0)) {
    goto fail;
  }
  if (big) { /* relay-queue takes it only when nobody can write to it any more */
    int closed = close(*fd);
    *fd = -1;
    if (closed < 0) {
      goto fail;
    }
  }
  return 0;

fail:
  snprintf(text, size, "unable to store the message: %s", strerror(errno));
  return EX_TEMPFAIL;
}

static int submit(int sock, const struct inject_message *m, const struct buf *envelope, char *text,
                  size_t size)
{
  uint64_t content = m->header->len + m->body_len + m->rest_len;
  bool big = envelope->len + content > INTAKE_BIG_BYTES;
  char name[INTAKE_NAME_SIZE] = "";
  struct buf request = BUF_INIT(256);
  struct intake_answer a;
  int fd = -1;
  int status = store(sock, m, envelope, big, &fd, name, text, size);

  if (status == 0 && intake_put_submit(&request, envelope->len, content, name, 0) < 0) {
    snprintf(text, size, "out of memory");
    status = EX_TEMPFAIL;
  }
  if (status == 0) {
    status = ask(sock, &request, fd, text, size);
  }
  if (status == 0) {
    status = hear(sock, &a, NULL, text, size);
  }
  if (status == 0) {
    snprintf(text, size, "%d %s", a.code, a.text);
    status = a.verb == '+' ? EX_TEMPFAIL : inject_exit_status(a.code, a.text);
  }
  buf_free(&request);
  if (fd >= 0) {
    close(fd);
  }
  return status;
}

int inject_submit(const struct inject_message *m, char *text, size_t size)
{
  struct buf envelope = BUF_INIT(ENVELOPE_MAX);
  int status = EX_TEMPFAIL;
  int sock = seqpacket_connect(INJECT_PATH, clock_monotonic_ms() + CONNECT_MS);

  if (sock < 0) {
    snprintf(text, size, "the relay is not running: unable to connect to %s: %s", INJECT_PATH,
             strerror(errno));
  } else if (envelope_encode(m->envelope, &envelope) < 0) {
    snprintf(text, size, "out of memory");
  } else {
    status = submit(sock, m, &envelope, text, size);
  }
  buf_free(&envelope);
  if (sock >= 0) {
    close(sock);
  }
  return status;
}
