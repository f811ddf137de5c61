/*
 * A connection that is found broken when a request is sent was closed between
 * two requests: relay-queue never saw this one, so it is safe to connect again
 * and to repeat it, once. One that breaks later is not repeated: what became
 * of the request is not known. The client is told 451 and sends again.
 */
#include "hatch.h"

#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define ANSWER_MS 30000 /* for what relay-queue answers out of its head */
/* RFC 5321 4.5.3.2.6: a client waits 10 minutes; by then we must have said something. */
#define VERDICT_MS 595000

void hatch_close(struct hatch *h)
{
  if (h->fd != -1) {
    close(h->fd);
    h->fd = -1;
  }
}

void hatch_free(struct hatch *h)
{
  hatch_close(h);
  buf_free(&h->request);
}

/* One answer; deadline 0: it is there already. Anything that is none breaks the connection. */
static enum hatch_result receive(struct hatch *h, int64_t deadline, struct intake_answer *answer,
                                 int *fd)
{
  char datagram[INTAKE_TEXT_SIZE + 64];
  ssize_t n = deadline ? seqpacket_recv_by(h->fd, datagram, sizeof datagram, fd, deadline)
                       : seqpacket_recv(h->fd, datagram, sizeof datagram, fd);

  if (n <= 0 || intake_get_answer(datagram, (size_t)n, answer) < 0) {
    if (fd && n > 0 && *fd != -1) {
      close(*fd);
      *fd = -1;
    }
    hatch_close(h);
    return HATCH_BROKEN;
  }
  return HATCH_OK;
}

/* Names the tenant. A failure leaves the hatch closed. */
static void greet(struct hatch *h)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX); /* h->request may hold what comes next */

  if (intake_put_hello(&b, h->tenant, h->client) < 0 ||
      seqpacket_send_by(h->fd, b.data, b.len, -1, clock_monotonic_ms() + ANSWER_MS) < 0) {
    hatch_close(h);
  }
  buf_free(&b);
}

void hatch_knock(struct hatch *h)
{
  hatch_close(h);
  h->fd = seqpacket_connect_patiently(INTAKE_PATH, clock_monotonic_ms() + HATCH_CONNECT_MS);
  if (h->fd != -1) {
    greet(h);
  }
}

enum hatch_result hatch_greeted(struct hatch *h, struct intake_answer *answer)
{
  enum hatch_result result = HATCH_BROKEN;

  if (h->fd != -1) {
    result = receive(h, clock_monotonic_ms() + ANSWER_MS, answer, NULL);
  }
  if (result == HATCH_OK && answer->verb != '+') {
    result = answer->verb == '-' && answer->code >= 400 ? HATCH_REFUSED : HATCH_BROKEN;
  }
  if (result != HATCH_OK) {
    hatch_close(h);
  }
  return result;
}

enum hatch_result hatch_open(struct hatch *h, struct intake_answer *answer)
{
  hatch_knock(h);
  return hatch_greeted(h, answer);
}

/* Sends h->request, on a new connection if the old one turns out to be dead. */
static enum hatch_result ask(struct hatch *h, int fd, struct intake_answer *answer)
{
  const struct buf *b = &h->request;
  int64_t deadline = clock_monotonic_ms() + ANSWER_MS;
  enum hatch_result result;

  if (h->fd != -1 && seqpacket_send_by(h->fd, b->data, b->len, fd, deadline) == 0) {
    return HATCH_OK;
  }
  if (h->fd != -1 && errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN) {
    return HATCH_BROKEN; /* e.g. ETOOMANYREFS: too many descriptors in flight */
  }
  result = hatch_open(h, answer);
  if (result == HATCH_OK && seqpacket_send_by(h->fd, b->data, b->len, fd, deadline) < 0) {
    hatch_close(h);
    return HATCH_BROKEN;
  }
  return result;
}

enum hatch_result hatch_big(struct hatch *h, struct intake_answer *answer, int *fd)
{
  enum hatch_result result = HATCH_BROKEN;

  *fd = -1;
  buf_reset(&h->request);
  if (intake_put_big(&h->request) == 0) {
    result = ask(h, -1, answer);
  }
  if (result == HATCH_OK) {
    result = receive(h, clock_monotonic_ms() + ANSWER_MS, answer, fd);
  }
  if (result != HATCH_OK) {
    return result;
  }
  if (answer->verb == '+' && *fd != -1) {
    return HATCH_OK;
  }
  if (*fd != -1) {
    close(*fd);
    *fd = -1;
  }
  if (answer->verb == '-' && answer->code >= 400) {
    return HATCH_REFUSED;
  }
  hatch_close(h);
  return HATCH_BROKEN;
}

enum hatch_result hatch_memory(struct hatch *h, uint64_t bytes, struct intake_answer *answer)
{
  enum hatch_result result = HATCH_BROKEN;

  buf_reset(&h->request);
  if (intake_put_memory(&h->request, bytes) == 0) {
    result = ask(h, -1, answer);
  }
  if (result == HATCH_OK) {
    result = receive(h, clock_monotonic_ms() + ANSWER_MS, answer, NULL);
  }
  if (result == HATCH_OK && answer->verb != '+') {
    result = HATCH_REFUSED;
  }
  return result;
}

/*
 * Has the client gone for good? This is the one place that decides it.
 *
 * Looked at is fd 1, for POLLERR and POLLHUP only: a reset connection, or a
 * pipe that nobody reads. An end of file on fd 0 is not enough, because a
 * client may shut down its sending side behind its last command and still read
 * our answer (nc -N, recordio's pipes). With through a TCP client's end of file
 * (POLLRDHUP) counts too: waits are long there, the attempt can be called off,
 * and a client that was killed leaves nothing but that.
 *
 * When it has gone the message is taken back by closing the connection
 * (intake.h), because the client will send it again (RFC 1047).
 */
static bool client_gone(const struct pollfd *client)
{
  return client->revents & (POLLERR | POLLHUP | POLLRDHUP);
}

static enum hatch_result wait_for_verdict(struct hatch *h, uint32_t through, int client_fd,
                                          int64_t deadline)
{
  short end_of_file = through ? POLLRDHUP : 0;

  for (;;) {
    struct pollfd p[2] = {{.fd = h->fd, .events = POLLIN}, {.fd = client_fd, .events = end_of_file}};
    int64_t left = deadline - clock_monotonic_ms();
    int n = left > 0 ? poll(p, 2, (int)left) : 0;

    if (n == -1 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return HATCH_BROKEN;
    }
    /* A verdict that is there counts, even if nobody is left to hear it. */
    if (p[0].revents) {
      return HATCH_OK;
    }
    if (client_gone(&p[1])) {
      return HATCH_GONE;
    }
  }
}

enum hatch_result hatch_submit(struct hatch *h, uint64_t envelope_len, uint64_t content_len,
                               int message_fd, const char *name, uint32_t through, int client_fd,
                               struct intake_answer *answer)
{
  enum hatch_result result = HATCH_BROKEN;
  int64_t deadline = clock_monotonic_ms() + VERDICT_MS;

  buf_reset(&h->request);
  if (intake_put_submit(&h->request, envelope_len, content_len, name, through) == 0) {
    result = ask(h, message_fd, answer);
  }
  if (result != HATCH_OK) {
    return result;
  }
  result = wait_for_verdict(h, through, client_fd, deadline);
  if (result == HATCH_OK) {
    result = receive(h, 0, answer, NULL);
  }
  /* A verdict is a complete reply: 2xx, 4xx or 5xx. */
  if (result == HATCH_OK && (answer->verb != 'V' || answer->code / 100 == 3)) {
    result = HATCH_BROKEN;
  }
  if (result != HATCH_OK) {
    hatch_close(h);
  }
  return result;
}
