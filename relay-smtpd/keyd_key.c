#include "keyd_key.h"

#include "address.h"
#include "scan.h"
#include "tls_engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char error_text[1200];

const char *keyd_key_error(void)
{
  return error_text;
}

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
  va_list ap;

  va_start(ap, format);
  vsnprintf(error_text, sizeof error_text, format, ap);
  va_end(ap);
  return -1;
}

/* --- PEM */

/* What one file gives: its certificates go to key->chain, its private key to key->secret. */
struct pem {
  const char *file;
  struct keyd_key *key;
  bool want_chain, want_secret;
  unsigned secrets;
  unsigned char der[KEYD_FILE_MAX]; /* the object being decoded */
  size_t len;
};

static void take_bytes(void *arg, const void *data, size_t len)
{
  struct pem *p = arg;

  if (len <= sizeof p->der - p->len) { /* always: base64 is longer than what it stands for */
    memcpy(p->der + p->len, data, len);
    p->len += len;
  }
}

static int take_certificate(struct pem *p)
{
  struct keyd_key *k = p->key;
  unsigned char *copy;

  if (k->chain_count == KEYD_CERTIFICATES_MAX || p->len > KEYD_CHAIN_MAX - k->chain_bytes) {
    return fail("%s: a chain has at most %d certificates and %d bytes", p->file,
                KEYD_CERTIFICATES_MAX, KEYD_CHAIN_MAX);
  }
  copy = malloc(p->len ? p->len : 1);
  if (!copy) {
    return fail("%s: out of memory", p->file);
  }
  memcpy(copy, p->der, p->len);
  k->chain[k->chain_count++] = (struct keyd_bytes){copy, p->len};
  k->chain_bytes += p->len;
  return 0;
}

static int take_secret(struct pem *p)
{
  struct keyd_key *k = p->key;

  if (p->secrets++ > 0) {
    return fail("%s: more than one private key", p->file);
  }
  br_skey_decoder_init(&k->secret);
  br_skey_decoder_push(&k->secret, p->der, p->len);
  if (br_skey_decoder_last_error(&k->secret) != 0) {
    return fail("%s: not a private key of RSA or ECDSA", p->file);
  }
  return 0;
}

static int take_object(struct pem *p, const char *type)
{
  if (strcmp(type, "CERTIFICATE") == 0 || strcmp(type, "X509 CERTIFICATE") == 0) {
    return p->want_chain ? take_certificate(p) : 0;
  }
  if (strcmp(type, "ENCRYPTED PRIVATE KEY") == 0 && p->want_secret) {
    return fail("%s: the private key is encrypted", p->file);
  }
  if (strcmp(type, "PRIVATE KEY") == 0 || strcmp(type, "RSA PRIVATE KEY") == 0 ||
      strcmp(type, "EC PRIVATE KEY") == 0) {
    return p->want_secret ? take_secret(p) : 0;
  }
  return 0; /* EC PARAMETERS, DH PARAMETERS */
}

static int decode(struct pem *p, const char *text, size_t len)
{
  br_pem_decoder_context pem;
  char type[sizeof pem.name];
  bool inside = false;
  int result = 0;

  br_pem_decoder_init(&pem);
  while (len > 0 && result == 0) {
    size_t used = br_pem_decoder_push(&pem, text, len);

    text += used;
    len -= used;
    switch (br_pem_decoder_event(&pem)) {
    case BR_PEM_BEGIN_OBJ:
      snprintf(type, sizeof type, "%s", br_pem_decoder_name(&pem));
      p->len = 0;
      inside = true;
      br_pem_decoder_setdest(&pem, take_bytes, p);
      break;
    case BR_PEM_END_OBJ:
      inside = false;
      result = take_object(p, type);
      break;
    case BR_PEM_ERROR:
      result = fail("%s: malformed PEM, or an encrypted key", p->file);
      break;
    default:
      break;
    }
  }
  tls_wipe(&pem, sizeof pem);
  if (result == 0 && inside) {
    return fail("%s: malformed PEM: an object without its end", p->file);
  }
  return result;
}

/* Reads what is wanted of one file. */
static int read_pem(struct keyd_key *k, const char *file, const char *text, size_t len,
                    bool want_chain, bool want_secret)
{
  struct pem *p = calloc(1, sizeof *p);
  int result;

  if (!p) {
    return fail("%s: out of memory", file);
  }
  p->file = file;
  p->key = k;
  p->want_chain = want_chain;
  p->want_secret = want_secret;
  if (len >= KEYD_FILE_MAX) {
    result = fail("%s: larger than %d bytes", file, KEYD_FILE_MAX);
  } else {
    result = decode(p, text, len);
  }
  if (result == 0 && want_chain && k->chain_count == 0) {
    result = fail("%s: no certificate in it", file);
  }
  if (result == 0 && want_secret && p->secrets == 0) {
    result = fail("%s: no private key in it", file);
  }
  tls_wipe(p, sizeof *p);
  free(p);
  return result;
}

/* --- the key */

static int find_kind(struct keyd_key *k, const char *file)
{
  const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(&k->secret);
  const br_ec_private_key *ec = br_skey_decoder_get_ec(&k->secret);

  if (rsa) {
    k->kind = KEYD_RSA;
    if (rsa->n_bitlen < KEYD_RSA_BITS_MIN || rsa->n_bitlen > KEYD_RSA_BITS_MAX) {
      return fail("%s: RSA with %u bits: from %d to %d are supported", file, rsa->n_bitlen,
                  KEYD_RSA_BITS_MIN, KEYD_RSA_BITS_MAX);
    }
    return 0;
  }
  k->kind = ec->curve == BR_EC_secp256r1 ? KEYD_P256 : ec->curve == BR_EC_secp384r1 ? KEYD_P384 : 0;
  return k->kind ? 0 : fail("%s: ECDSA with another curve than P-256 or P-384", file);
}

static bool same(const unsigned char *a, size_t alen, const unsigned char *b, size_t blen)
{
  return alen == blen && memcmp(a, b, alen) == 0;
}

/* Is the private key that of the first certificate? */
static bool belongs(const struct keyd_key *k, const br_x509_pkey *pk)
{
  unsigned char modulus[KEYD_RSA_BITS_MAX / 8], point[BR_EC_KBUF_PUB_MAX_SIZE];
  br_ec_public_key ec;

  if (k->kind == KEYD_RSA) {
    const br_rsa_private_key *sk = br_skey_decoder_get_rsa(&k->secret);
    const unsigned char *n;
    size_t len;

    if (pk->key_type != BR_KEYTYPE_RSA) {
      return false;
    }
    len = br_rsa_compute_modulus_get_default()(NULL, sk);
    if (len == 0 || len > sizeof modulus) {
      return false;
    }
    br_rsa_compute_modulus_get_default()(modulus, sk);
    n = pk->key.rsa.n;
    len = pk->key.rsa.nlen;
    while (len > 0 && *n == 0) { /* a leading zero byte of ASN.1 */
      n++;
      len--;
    }
    return same(modulus, br_rsa_compute_modulus_get_default()(NULL, sk), n, len);
  }
  return pk->key_type == BR_KEYTYPE_EC &&
         br_ec_compute_pub(br_ec_get_default(), &ec, point, br_skey_decoder_get_ec(&k->secret)) &&
         ec.curve == pk->key.ec.curve && same(ec.q, ec.qlen, pk->key.ec.q, pk->key.ec.qlen);
}

static int check_pair(struct keyd_key *k, const char *chain_name, const char *key_name)
{
  br_x509_pkey *pk;

  br_x509_decoder_init(&k->subject, NULL, NULL);
  br_x509_decoder_push(&k->subject, k->chain[0].data, k->chain[0].len);
  pk = br_x509_decoder_get_pkey(&k->subject);
  if (!pk) {
    return fail("%s: the first certificate is malformed (BearSSL error %d)", chain_name,
                br_x509_decoder_last_error(&k->subject));
  }
  if (find_kind(k, key_name) < 0) {
    return -1;
  }
  return belongs(k, pk)
           ? 0
           : fail("%s: not the private key of the first certificate in %s", key_name, chain_name);
}

struct keyd_key *keyd_key_load(const char *chain_name, const char *chain, size_t chain_len,
                               const char *key_name, const char *key, size_t key_len)
{
  struct keyd_key *k = calloc(1, sizeof *k);

  if (!k) {
    fail("%s: out of memory", chain_name);
    return NULL;
  }
  if (read_pem(k, chain_name, chain, chain_len, true, false) < 0 ||
      read_pem(k, key_name, key, key_len, false, true) < 0 ||
      check_pair(k, chain_name, key_name) < 0) {
    keyd_key_free(k);
    return NULL;
  }
  return k;
}

void keyd_key_free(struct keyd_key *k)
{
  if (!k) {
    return;
  }
  for (size_t i = 0; i < k->name_count; i++) {
    free(k->names[i]);
  }
  for (size_t i = 0; i < k->chain_count; i++) {
    free((void *)(uintptr_t)k->chain[i].data);
  }
  tls_wipe(k, sizeof *k);
  free(k);
}

int keyd_key_name(struct keyd_key *k, const char *name)
{
  const char *domain = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
  char *copy;

  if (!address_domain_valid(domain, strlen(domain), false)) {
    return fail("not a server name: %s", name);
  }
  if (k->name_count == KEYD_NAMES_MAX) {
    return fail("more than %d names", KEYD_NAMES_MAX);
  }
  copy = strdup(name);
  if (!copy) {
    return fail("out of memory");
  }
  k->names[k->name_count++] = copy;
  return 0;
}

bool keyd_key_is_for(const struct keyd_key *k, const char *server_name)
{
  const char *dot = strchr(server_name, '.');
  const char *rest = dot ? dot : "";

  for (size_t i = 0; i < k->name_count; i++) {
    bool wild = k->names[i][0] == '*';
    const char *want = k->names[i] + wild, *have = wild ? rest : server_name;

    if (scan_case_equal(want, strlen(want), have, strlen(have)) && (!wild || dot != server_name)) {
      return true;
    }
  }
  return false;
}

/* --- signing */

static const struct {
  unsigned id; /* RFC 5246 7.4.1.4.1, and BearSSL's number */
  const br_hash_class *class;
  size_t len;
  const unsigned char *oid;
} hashes[] = {
  {br_sha256_ID, &br_sha256_vtable, 32, BR_HASH_OID_SHA256},
  {br_sha384_ID, &br_sha384_vtable, 48, BR_HASH_OID_SHA384},
  {br_sha512_ID, &br_sha512_vtable, 64, BR_HASH_OID_SHA512},
};

/*
 * A fault of the hardware in the middle of an RSA signature would make one
 * from which anybody can compute the key (Boneh, DeMillo, Lipton 1997): one
 * that does not verify never leaves.
 */
static size_t sign_rsa(const struct keyd_key *k, const unsigned char *oid,
                       const unsigned char *hash, size_t hash_len, unsigned char *signature)
{
  const br_rsa_private_key *sk = br_skey_decoder_get_rsa(&k->secret);
  const br_x509_pkey *pk = br_x509_decoder_get_pkey((br_x509_decoder_context *)&k->subject);
  size_t len = (sk->n_bitlen + 7) / 8;
  unsigned char again[64];

  if (!br_rsa_pkcs1_sign_get_default()(oid, hash, hash_len, sk, signature) ||
      !br_rsa_pkcs1_vrfy_get_default()(signature, len, oid, hash_len, &pk->key.rsa, again) ||
      memcmp(again, hash, hash_len) != 0) {
    return 0;
  }
  return len;
}

size_t keyd_key_sign(const struct keyd_key *k, unsigned algorithm, const unsigned char *parameters,
                     size_t len, unsigned char signature[KEYD_SIGNATURE_MAX])
{
  br_hash_compat_context context;
  unsigned char hash[64];

  for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
    const br_hash_class *class = hashes[i].class;

    if (algorithm != KEYD_ALGORITHM(hashes[i].id, k->kind)) {
      continue;
    }
    class->init(&context.vtable);
    class->update(&context.vtable, parameters, len);
    class->out(&context.vtable, hash);
    if (k->kind == KEYD_RSA) {
      return sign_rsa(k, hashes[i].oid, hash, hashes[i].len, signature);
    }
    return br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), class, hash,
                                            br_skey_decoder_get_ec(&k->secret), signature);
  }
  return 0;
}
