/*
 * TLS for the tarpit: OpenSSL, whose signatures take a twentieth of BearSSL's
 * time, so that the client that is measured has the machine.
 */
#include "tarpit.h"

#include "exits.h"
#include "report.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#define SESSIONS_MAX 20000 /* kept for clients that resume by id, not by ticket */

static SSL_CTX *context;

static _Noreturn void die_tls(const char *verb, const char *object)
{
  report_fatal("unable to %s %s: %s", verb, object, ERR_error_string(ERR_get_error(), NULL));
  exit(EXIT_TEMPORARY);
}

/* TLS 1.3 has tickets alone, 1.2 ids, too. */
static void forget_sessions(void)
{
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
}

void tls_prepare(const char *pem, bool resume)
{
  static const unsigned char name[] = "tarpit";

  context = SSL_CTX_new(TLS_server_method());
  if (!context || SSL_CTX_use_certificate_chain_file(context, pem) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM) != 1) {
    die_tls("use", pem);
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1); /* a record is one read(), not two */
  SSL_CTX_set_session_id_context(context, name, sizeof name);
  SSL_CTX_sess_set_cache_size(context, SESSIONS_MAX);
  SSL_CTX_set_num_tickets(context, 1);
  if (!resume) {
    forget_sessions();
  }
}

SSL *tls_accept(int fd)
{
  SSL *tls = SSL_new(context);

  if (!tls || SSL_set_fd(tls, fd) != 1) {
    die_tls("begin", "TLS");
  }
  SSL_set_accept_state(tls);
  return tls;
}

/*
 * A sender with Nagle's algorithm that writes two records would wait 40 ms for
 * the acknowledgement of the first one, on loopback, where a segment has 64
 * KiB. On the wires that mail takes there are more segments, and no such wait.
 * The kernel forgets the option again.
 */
static void acknowledge_at_once(const SSL *tls)
{
  int one = 1;

  setsockopt(SSL_get_fd(tls), IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

ssize_t tls_read(SSL *tls, void *data, size_t len)
{
  size_t n;
  int error;

  acknowledge_at_once(tls);
  ERR_clear_error();
  if (SSL_read_ex(tls, data, len, &n) == 1) {
    return (ssize_t)n;
  }
  error = SSL_get_error(tls, 0);
  if (error == SSL_ERROR_ZERO_RETURN) {
    return 0;
  }
  errno = error == SSL_ERROR_WANT_READ ? EAGAIN : EPROTO;
  return -1;
}

bool tls_write_all(SSL *tls, const void *data, size_t len)
{
  size_t n;

  ERR_clear_error();
  return SSL_write_ex(tls, data, len, &n) == 1 && n == len;
}

bool tls_is_open(const SSL *tls)
{
  return SSL_is_init_finished(tls);
}

bool tls_is_resumed(const SSL *tls)
{
  return SSL_session_reused(tls);
}

const char *tls_version(const SSL *tls)
{
  return SSL_get_version(tls);
}

/* A session that is freed without a word is one that failed, and is not resumed. */
void tls_free(SSL *tls)
{
  ERR_clear_error();
  if (tls_is_open(tls)) {
    SSL_shutdown(tls);
  }
  SSL_free(tls);
}
