#include "keyring.h"

#include "clock.h"
#include "tls_engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void keyring_init(struct keyring *k)
{
  k->fd = -1;
  *k->problem = '\0';
}

void keyring_close(struct keyring *k)
{
  if (k->fd != -1) {
    close(k->fd);
    k->fd = -1;
  }
}

/* False, and no more to do with this connection. */
static bool fail(struct keyring *k, const char *why)
{
  snprintf(k->problem, sizeof k->problem, "relay-keyd: %s", why);
  keyring_close(k);
  return false;
}

bool keyring_connect(struct keyring *k)
{
  if (k->fd == -1) {
    k->fd = seqpacket_connect_patiently(KEYD_PATH, clock_monotonic_ms() + KEYRING_PATIENCE_MS);
  }
  return k->fd != -1 || fail(k, strerror(errno));
}

/* A connection that is found closed now was so before this request, which may go on a new one. */
static bool send_request(struct keyring *k, const struct buf *b, bool anew)
{
  int64_t deadline = clock_monotonic_ms() + KEYRING_ANSWER_MS;

  if (!keyring_connect(k)) {
    return false;
  }
  if (seqpacket_send_by(k->fd, b->data, b->len, -1, deadline) == 0) {
    return true;
  }
  if (!anew || (errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN)) {
    return fail(k, strerror(errno));
  }
  keyring_close(k);
  return keyring_connect(k) &&
         (seqpacket_send_by(k->fd, b->data, b->len, -1, deadline) == 0 || fail(k, strerror(errno)));
}

/* Sends b and frees it; the answer's length, or -1. */
static ssize_t ask(struct keyring *k, struct buf *b, int built, bool anew)
{
  ssize_t n = -1;

  if (built < 0) {
    fail(k, strerror(errno));
  } else if (send_request(k, b, anew)) {
    n = seqpacket_recv_by(k->fd, k->answer, sizeof k->answer, NULL,
                          clock_monotonic_ms() + KEYRING_ANSWER_MS);
    if (n <= 0) {
      fail(k, n == 0 ? "closed the connection" : strerror(errno));
      n = -1;
    }
  }
  if (b->data) {
    tls_wipe(b->data, b->len);
  }
  buf_free(b);
  return n;
}

/* result is a getter's: what it means. */
static bool good(struct keyring *k, int result, const char *text)
{
  return result == 0 || fail(k, result == 1 ? text : "garbled answer");
}

bool keyring_choose(struct keyring *k, const char *server_name, unsigned kinds,
                    struct keyd_chain *chain)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  char text[KEYD_TEXT_SIZE];
  ssize_t n = ask(k, &b, keyd_put_choose(&b, server_name, kinds), true);

  return n > 0 && good(k, keyd_get_chain(k->answer, (size_t)n, chain, text), text);
}

bool keyring_sign(struct keyring *k, unsigned algorithm, const unsigned char *parameters,
                  size_t len, struct keyd_bytes *signature)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  char text[KEYD_TEXT_SIZE];
  ssize_t n = ask(k, &b, keyd_put_sign(&b, algorithm, parameters, len), false);

  return n > 0 && good(k, keyd_get_signature(k->answer, (size_t)n, signature, text), text);
}

bool keyring_load(struct keyring *k, struct keyd_session *session)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  char text[KEYD_TEXT_SIZE];
  ssize_t n = ask(k, &b, keyd_put_load(&b, session->id), true);
  int result = n > 0 ? keyd_get_session(k->answer, (size_t)n, session, text) : 1;

  if (n > 0) {
    tls_wipe(k->answer, (size_t)n);
  }
  if (result < 0) {
    fail(k, "garbled answer");
  }
  return result == 0;
}

void keyring_save(struct keyring *k, const struct keyd_session *session)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  /* Without an answer, and not worth a complaint: the next handshake is a full one. */
  if (keyd_put_save(&b, session) == 0) {
    send_request(k, &b, true);
  }
  if (b.data) {
    tls_wipe(b.data, b.len);
  }
  buf_free(&b);
}
