/* A TLS client's handshake with BearSSL, and its session as bytes. */
#include "tls_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * A session: version, cipher suite (two bytes each), how it was verified, the
 * length of its id, the id, the master secret. Only relay-remote reads it.
 */
#define SESSION_HEAD 6
#define SECRET_SIZE 48

static bool session_get(const struct work_tls *demand, br_ssl_session_parameters *p,
                        enum tls_verified *verified)
{
  const unsigned char *s = demand->session;
  size_t id_len;

  memset(p, 0, sizeof(*p));
  if (demand->session_len < SESSION_HEAD || s[5] == 0 || s[5] > sizeof(p->session_id) ||
      demand->session_len != (size_t)SESSION_HEAD + s[5] + SECRET_SIZE) {
    return false;
  }
  id_len = s[5];
  p->version = (uint16_t)(s[0] << 8 | s[1]);
  p->cipher_suite = (uint16_t)(s[2] << 8 | s[3]);
  p->session_id_len = (unsigned char)id_len;
  memcpy(p->session_id, s + SESSION_HEAD, id_len);
  memcpy(p->master_secret, s + SESSION_HEAD + id_len, SECRET_SIZE);
  *verified = (enum tls_verified)s[4];
  return p->version == BR_TLS12;
}

uint32_t tls_client_session(const struct tls_client *t, unsigned char out[WORK_TLS_SESSION_MAX])
{
  br_ssl_session_parameters p;
  uint32_t len;

  br_ssl_engine_get_session_parameters(&t->ssl.eng, &p);
  if (t->resumed || p.session_id_len == 0) {
    tls_wipe(&p, sizeof(p));
    return 0;
  }
  out[0] = (unsigned char)(p.version >> 8);
  out[1] = (unsigned char)p.version;
  out[2] = (unsigned char)(p.cipher_suite >> 8);
  out[3] = (unsigned char)p.cipher_suite;
  out[4] = (unsigned char)t->check.verified;
  out[5] = p.session_id_len;
  memcpy(out + SESSION_HEAD, p.session_id, p.session_id_len);
  len = SESSION_HEAD + p.session_id_len;
  memcpy(out + len, p.master_secret, SECRET_SIZE);
  tls_wipe(&p, sizeof(p));
  return len + SECRET_SIZE;
}

int tls_client_open(struct tls_client *t, int fd, const struct work_tls *demand)
{
  br_ssl_engine_context *engine = &t->ssl.eng;
  br_ssl_session_parameters session;
  enum tls_verified verified = TLS_VERIFIED_NOT;
  bool resume;

  br_ssl_client_zero(&t->ssl);
  tls_check_init(&t->check, demand);
  t->resumed = false;
  t->facts[0] = t->reason[0] = 0;
  br_ssl_engine_set_default_rsavrfy(engine);
  br_ssl_engine_set_default_ecdsa(engine);
  br_ssl_engine_set_x509(engine, &t->check.vtable);
  if (tls_engine_setup(engine, t->buffer) == -1) {
    snprintf(t->reason, sizeof(t->reason), "no random bytes: %s", strerror(errno));
    return -1;
  }
  resume = session_get(demand, &session, &verified);
  if (resume) {
    br_ssl_engine_set_session_parameters(engine, &session);
    t->check.verified = verified;
  }
  tls_wipe(&session, sizeof(session));
  if (!br_ssl_client_reset(&t->ssl, *demand->sni ? demand->sni : NULL, resume)) {
    snprintf(t->reason, sizeof(t->reason), "the TLS engine does not start");
    return -1;
  }
  tls_pump_open(&t->pump, engine, fd, fd);
  return 0;
}

int tls_client_handshake(struct tls_client *t, int64_t deadline)
{
  char problem[TLS_ERROR_SIZE];
  int saved;

  if (tls_pump_handshake(&t->pump, deadline) == 0) {
    t->resumed = !t->check.seen;
    tls_facts(&t->ssl.eng, t->resumed, t->facts);
    return 0;
  }
  saved = errno;
  if (*t->check.reason) {
    snprintf(t->reason, sizeof(t->reason), "%s", t->check.reason);
  } else {
    tls_pump_problem(&t->pump, problem);
    snprintf(t->reason, sizeof(t->reason), "%s in the handshake", problem);
  }
  errno = saved;
  return -1;
}
