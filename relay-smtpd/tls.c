#include "tls.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

static struct tls *of_policy(const br_ssl_server_policy_class **policy)
{
  return (struct tls *)((char *)policy - offsetof(struct tls, policy));
}

static struct tls *of_cache(const br_ssl_session_cache_class **cache)
{
  return (struct tls *)((char *)cache - offsetof(struct tls, cache));
}

/* --- the key */

/* The kinds of keys that the client takes, by its suites, hashes and curves. */
static unsigned kinds_of(const br_ssl_server_context *c)
{
  const br_suite_translated *suites;
  uint32_t hashes = br_ssl_server_get_client_hashes(c);
  uint32_t curves = br_ssl_server_get_client_curves(c);
  unsigned kinds = 0, ecdsa = 0;
  size_t n;

  ecdsa |= curves >> BR_EC_secp256r1 & 1 ? KEYD_P256 : 0;
  ecdsa |= curves >> BR_EC_secp384r1 & 1 ? KEYD_P384 : 0;
  suites = br_ssl_server_get_client_suites(c, &n);
  for (size_t i = 0; i < n; i++) {
    unsigned exchange = suites[i][1] >> 12;

    kinds |= exchange == BR_SSLKEYX_ECDHE_RSA && (hashes & 0xff) ? KEYD_RSA : 0;
    kinds |= exchange == BR_SSLKEYX_ECDHE_ECDSA && (hashes >> 8 & 0xff) ? ecdsa : 0;
  }
  return kinds;
}

/* The first suite, in our order, for a key of that kind; both sides have it. */
static unsigned suite_for(const br_ssl_server_context *c, unsigned kind)
{
  unsigned wanted = kind == KEYD_RSA ? BR_SSLKEYX_ECDHE_RSA : BR_SSLKEYX_ECDHE_ECDSA;
  const br_suite_translated *suites;
  size_t n;

  suites = br_ssl_server_get_client_suites(c, &n);
  for (size_t i = 0; i < n; i++) {
    if (suites[i][1] >> 12 == wanted) {
      return suites[i][0];
    }
  }
  return 0;
}

/* SHA-256 where the client takes it; it does, but for a handful that want SHA-384 with P-384. */
static unsigned hash_for(const br_ssl_server_context *c, unsigned kind)
{
  uint32_t hashes = br_ssl_server_get_client_hashes(c) >> (kind == KEYD_RSA ? 0 : 8);

  for (unsigned id = br_sha256_ID; id <= br_sha512_ID; id++) {
    if (hashes >> id & 1) {
      return id;
    }
  }
  return 0;
}

static int choose(const br_ssl_server_policy_class **policy, const br_ssl_server_context *c,
                  br_ssl_server_choices *choices)
{
  struct tls *t = of_policy(policy);
  struct keyd_chain chain;
  unsigned kinds = kinds_of(c), hash;

  if (!keyring_choose(&t->keyring, br_ssl_engine_get_server_name(&c->eng), kinds, &chain)) {
    return 0;
  }
  for (size_t i = 0; i < chain.count; i++) {
    t->chain[i] = (br_x509_certificate){(unsigned char *)(uintptr_t)chain.certificates[i].data,
                                        chain.certificates[i].len};
  }
  hash = hash_for(c, chain.kind);
  choices->chain = t->chain;
  choices->chain_len = chain.count;
  choices->cipher_suite = (uint16_t)suite_for(c, chain.kind);
  /* Below 0xff00 it goes to the client as it is, and do_sign() gets what is to be signed whole. */
  choices->algo_id = KEYD_ALGORITHM(hash, chain.kind);
  t->resumed = false;
  return choices->cipher_suite != 0 && hash != 0;
}

static size_t do_sign(const br_ssl_server_policy_class **policy, unsigned algorithm,
                      unsigned char *data, size_t data_len, size_t room)
{
  struct tls *t = of_policy(policy);
  struct keyd_bytes signature;

  if (!keyring_sign(&t->keyring, algorithm, data, data_len, &signature) || signature.len > room) {
    return 0;
  }
  memcpy(data, signature.data, signature.len);
  return signature.len;
}

/* Only for suites without forward secrecy, of which we have none. */
static uint32_t do_keyx(const br_ssl_server_policy_class **policy, unsigned char *data, size_t *len)
{
  (void)policy;
  (void)data;
  (void)len;
  return 0;
}

static const br_ssl_server_policy_class policy_class = {sizeof(br_ssl_server_policy_class *),
                                                        choose, do_keyx, do_sign};

/* --- sessions to be resumed */

static void save(const br_ssl_session_cache_class **cache, br_ssl_server_context *server,
                 const br_ssl_session_parameters *params)
{
  struct keyd_session session = {.version = params->version, .suite = params->cipher_suite};

  (void)server;
  memcpy(session.id, params->session_id, sizeof session.id);
  memcpy(session.secret, params->master_secret, sizeof session.secret);
  keyring_save(&of_cache(cache)->keyring, &session);
  tls_wipe(&session, sizeof session);
}

/* choose() will say that it was not resumed after all. */
static int load(const br_ssl_session_cache_class **cache, br_ssl_server_context *server,
                br_ssl_session_parameters *params)
{
  struct tls *t = of_cache(cache);
  struct keyd_session session;

  (void)server;
  memcpy(session.id, params->session_id, sizeof session.id);
  if (!keyring_load(&t->keyring, &session)) {
    return 0;
  }
  params->version = (uint16_t)session.version;
  params->cipher_suite = (uint16_t)session.suite;
  memcpy(params->master_secret, session.secret, sizeof params->master_secret);
  tls_wipe(&session, sizeof session);
  t->resumed = true;
  return 1;
}

static const br_ssl_session_cache_class cache_class = {sizeof(br_ssl_session_cache_class *), save,
                                                       load};

/* --- the session */

int tls_prepare(struct tls *t, int in, int out)
{
  t->policy = &policy_class;
  t->cache = &cache_class;
  t->resumed = false;
  *t->facts = *t->problem = '\0';
  keyring_init(&t->keyring);
  if (!keyring_connect(&t->keyring)) {
    snprintf(t->problem, sizeof t->problem, "%s", t->keyring.problem);
    return -1;
  }
  br_ssl_server_zero(&t->server);
  if (tls_engine_setup(&t->server.eng, t->buffer) < 0) {
    snprintf(t->problem, sizeof t->problem, "no random bytes");
    return -1;
  }
  br_ssl_engine_add_flags(&t->server.eng, BR_OPT_ENFORCE_SERVER_PREFERENCES);
  br_ssl_server_set_policy(&t->server, &t->policy);
  br_ssl_server_set_cache(&t->server, &t->cache);
  br_ssl_server_reset(&t->server);
  tls_pump_open(&t->pump, &t->server.eng, in, out);
  return 0;
}

int tls_accept(struct tls *t, int64_t deadline)
{
  char why[TLS_ERROR_SIZE];
  int result = tls_pump_handshake(&t->pump, deadline);

  if (result == 0) {
    tls_facts(&t->server.eng, t->resumed, t->facts);
    tls_clause(&t->server.eng, t->resumed, t->clause);
  } else {
    tls_pump_problem(&t->pump, why);
    snprintf(t->problem, sizeof t->problem, "%s%s%s", why, *t->keyring.problem ? "; " : "",
             t->keyring.problem);
  }
  keyring_close(&t->keyring);
  return result;
}

void tls_end(struct tls *t)
{
  tls_pump_close(&t->pump, clock_monotonic_ms() + TLS_GOODBYE_MS);
  tls_wipe(&t->server, sizeof t->server);
}
