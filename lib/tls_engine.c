#include "tls_engine.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#define SEED_BYTES 48 /* HMAC_DRBG with SHA-256: 256 bits and a nonce of 128 */

static const uint16_t suites[] = {
  BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,       BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,       BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
  BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
};

#define CURVES ((1U << BR_EC_curve25519) | (1U << BR_EC_secp256r1) | (1U << BR_EC_secp384r1))

/* The stock implementation with fewer curves; the same for all engines of the process. */
static br_ec_impl curves;

void tls_wipe(void *data, size_t len)
{
  memset(data, 0, len);
  __asm__ volatile("" : : "r"(data) : "memory");
}

/* getrandom() gives all of so few bytes, once the kernel has any at all. */
static int seed(br_ssl_engine_context *engine)
{
  unsigned char bytes[SEED_BYTES];
  ssize_t n;

  do {
    n = getrandom(bytes, sizeof bytes, 0);
  } while (n == -1 && errno == EINTR);
  if (n != (ssize_t)sizeof bytes) {
    errno = n == -1 ? errno : EIO;
    return -1;
  }
  br_ssl_engine_inject_entropy(engine, bytes, sizeof bytes);
  tls_wipe(bytes, sizeof bytes);
  /* BearSSL's own seeder may be RDRAND alone, or open /dev/urandom, which confine.h forbids:
   * it is told that this has been done. */
  engine->rng_os_rand_done = 1;
  return 0;
}

int tls_engine_setup(br_ssl_engine_context *engine, void *buffer)
{
  br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
  br_ssl_engine_set_suites(engine, suites, sizeof suites / sizeof *suites);
  br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
  br_ssl_engine_set_hash(engine, br_sha384_ID, &br_sha384_vtable);
  br_ssl_engine_set_hash(engine, br_sha512_ID, &br_sha512_vtable);
  br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
  br_ssl_engine_set_prf_sha384(engine, &br_tls12_sha384_prf);
  br_ssl_engine_set_default_aes_gcm(engine);
  br_ssl_engine_set_default_chapol(engine);
  br_ssl_engine_set_default_ec(engine);
  curves = *br_ssl_engine_get_ec(engine);
  curves.supported_curves &= CURVES;
  br_ssl_engine_set_ec(engine, &curves);
  br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
  br_ssl_engine_set_buffer(engine, buffer, TLS_BUFFER_SIZE, 1);
  return seed(engine);
}
