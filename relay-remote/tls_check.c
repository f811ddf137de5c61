/* The certificate that an MX has sent: what it proves. */
#include "tls_check.h"

#include "certificate.h"
#include "tls_engine.h"
#include "tls_trust.h"

#include <stdio.h>
#include <string.h>

#define RSA_BYTES_MIN 256 /* 2048 bits */

const char *tls_verified_name(enum tls_verified v)
{
  switch (v) {
  case TLS_VERIFIED_CA:
    return "ca";
  case TLS_VERIFIED_PIN:
    return "fingerprint";
  case TLS_VERIFIED_DANE_TA:
    return "dane-ta";
  case TLS_VERIFIED_DANE_EE:
    return "dane-ee";
  case TLS_VERIFIED_NOT:
    break;
  }
  return "none";
}

const unsigned char *tls_check_certificate(const struct tls_check *c, size_t i, size_t *len)
{
  size_t from = i == 0 ? 0 : c->ends[i - 1];

  *len = c->ends[i] - from;
  return c->chain + from;
}

static struct tls_check *self(const br_x509_class **ctx)
{
  return (struct tls_check *)(void *)ctx;
}

static void start_chain(const br_x509_class **ctx, const char *server_name)
{
  struct tls_check *c = self(ctx);

  (void)server_name; /* for SNI; what names count is in the demand */
  c->seen = true;
  c->overflow = false;
  c->count = c->len = 0;
}

static void start_cert(const br_x509_class **ctx, uint32_t len)
{
  struct tls_check *c = self(ctx);

  if (c->count == TLS_CHAIN_MAX || len > sizeof(c->chain) - c->len) {
    c->overflow = true;
  }
}

static void append(const br_x509_class **ctx, const unsigned char *data, size_t len)
{
  struct tls_check *c = self(ctx);

  if (!c->overflow) {
    memcpy(c->chain + c->len, data, len); /* start_cert() has seen that all of it fits */
    c->len += len;
  }
}

static void end_cert(const br_x509_class **ctx)
{
  struct tls_check *c = self(ctx);

  if (!c->overflow) {
    c->ends[c->count++] = c->len;
  }
}

__attribute__((format(printf, 3, 4))) static unsigned refuse(struct tls_check *c, unsigned error,
                                                             const char *format, ...)
{
  va_list ap;

  va_start(ap, format);
  vsnprintf(c->reason, sizeof(c->reason), format, ap);
  va_end(ap);
  return error;
}

/* out has tlsa_digest_size(type) bytes. */
static void digest_of(const struct der *part, unsigned char type, unsigned char *out)
{
  br_sha256_context sha256;
  br_sha512_context sha512;

  if (type == TLSA_SHA512) {
    br_sha512_init(&sha512);
    br_sha512_update(&sha512, part->data, part->len);
    br_sha512_out(&sha512, out);
  } else {
    br_sha256_init(&sha256);
    br_sha256_update(&sha256, part->data, part->len);
    br_sha256_out(&sha256, out);
  }
}

static int read_certificate(const struct tls_check *c, size_t i, struct certificate *out)
{
  size_t len;
  const unsigned char *data = tls_check_certificate(c, i, &len);

  return certificate_read(data, len, out);
}

/* RSA below 2048 bits; elliptic curves that BearSSL knows are all strong enough. */
static bool is_weak(const br_x509_pkey *key)
{
  const unsigned char *n = key->key.rsa.n;
  size_t len = key->key.rsa.nlen;

  if (key->key_type != BR_KEYTYPE_RSA) {
    return false;
  }
  for (; len > 0 && *n == 0; len--) {
    n++;
  }
  return len < RSA_BYTES_MIN;
}

/*
 * BearSSL's validation of the first count certificates up to one of anchors.
 * It knows its own clock, and is told no name: those are ours (RFC 9525, and
 * several of them).
 */
static unsigned validate(struct tls_check *c, const br_x509_trust_anchor *anchors,
                         size_t anchor_count, size_t count)
{
  static br_x509_minimal_context m;
  const unsigned char *data;
  size_t len;

  br_x509_minimal_init(&m, &br_sha256_vtable, anchors, anchor_count);
  br_x509_minimal_set_rsa(&m, br_rsa_pkcs1_vrfy_get_default());
  br_x509_minimal_set_ecdsa(&m, br_ec_get_default(), br_ecdsa_vrfy_asn1_get_default());
  /* No SHA-1: a signature with it is of an unknown kind then. */
  br_x509_minimal_set_hash(&m, br_sha256_ID, &br_sha256_vtable);
  br_x509_minimal_set_hash(&m, br_sha384_ID, &br_sha384_vtable);
  br_x509_minimal_set_hash(&m, br_sha512_ID, &br_sha512_vtable);
  br_x509_minimal_set_minrsa(&m, RSA_BYTES_MIN);
  m.vtable->start_chain(&m.vtable, NULL);
  for (size_t i = 0; i < count; i++) {
    data = tls_check_certificate(c, i, &len);
    m.vtable->start_cert(&m.vtable, (uint32_t)len);
    m.vtable->append(&m.vtable, data, len);
    m.vtable->end_cert(&m.vtable);
  }
  return m.vtable->end_chain(&m.vtable);
}

/* Words that an operator can do something with, where BearSSL's number has them. */
static unsigned explain(struct tls_check *c, unsigned error)
{
  struct certificate leaf;
  char issuer[80], words[TLS_ERROR_SIZE];

  if (read_certificate(c, 0, &leaf) == -1) {
    return refuse(c, error, "its certificate is malformed");
  }
  certificate_name_text(&leaf.issuer, issuer, sizeof(issuer));
  if (error == BR_ERR_X509_NOT_TRUSTED || error == BR_ERR_X509_DN_MISMATCH) {
    return refuse(c, error, "no trusted authority has signed its certificate (issuer \"%s\")",
                  issuer);
  }
  if (error == BR_ERR_X509_EXPIRED) {
    return refuse(c, error,
                  "its certificate, or one of the chain, has expired or is not yet valid "
                  "(the first is good until %s)",
                  leaf.not_after);
  }
  if (error == BR_ERR_X509_WEAK_PUBLIC_KEY) {
    return refuse(c, error, "an RSA key of its chain has less than 2048 bits");
  }
  if (error == BR_ERR_X509_UNSUPPORTED) {
    return refuse(c, error,
                  "its chain has a signature or key of a kind that does not verify "
                  "(SHA-1, RSA-PSS)");
  }
  tls_error_text((int)error, words);
  return refuse(c, error, "its certificate does not verify: %s", words);
}

/* Certificates above the leaf that restrict names: BearSSL ignores them unless they are critical,
 * and looks at none of an anchor's. */
static unsigned check_constraints(struct tls_check *c, size_t count)
{
  struct certificate ca;

  for (size_t i = 1; i < count; i++) {
    if (read_certificate(c, i, &ca) == -1 || ca.name_constraints) {
      return refuse(c, BR_ERR_X509_UNSUPPORTED,
                    "an authority of its chain has nameConstraints, "
                    "which are not supported");
    }
  }
  return 0;
}

/* One of the demand's names is one of the leaf's. */
static unsigned check_names(struct tls_check *c)
{
  char list[WORK_TLS_NAMES_SIZE], shown[120], *save = NULL, *name;
  struct certificate leaf;

  if (read_certificate(c, 0, &leaf) == -1) {
    return refuse(c, BR_ERR_X509_INVALID_VALUE, "its certificate is malformed");
  }
  memcpy(list, c->demand->names, sizeof(list));
  for (name = strtok_r(list, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
    if (certificate_has_name(&leaf, name)) {
      return 0;
    }
  }
  certificate_names(&leaf, shown, sizeof(shown));
  return refuse(c, BR_ERR_X509_BAD_SERVER_NAME, "its certificate is for %s, not for %.80s",
                *shown ? shown : "no host name", c->demand->names);
}

/* The chain up to count, which ends at one of anchors, and its names. */
static unsigned check_chain(struct tls_check *c, const br_x509_trust_anchor *anchors,
                            size_t anchor_count, size_t count)
{
  unsigned error = validate(c, anchors, anchor_count, count);

  if (error) {
    return explain(c, error);
  }
  error = check_constraints(c, count);
  return error ? error : check_names(c);
}

static unsigned check_authority(struct tls_check *c)
{
  size_t count;
  const br_x509_trust_anchor *anchors = tls_trust_anchors(&count);
  unsigned error;

  if (count == 0) {
    return refuse(c, BR_ERR_X509_NOT_TRUSTED,
                  "no authorities are known here (control/tlsca, " TLS_TRUST_SYSTEM ")");
  }
  error = check_chain(c, anchors, count, c->count);
  c->verified = error ? TLS_VERIFIED_NOT : TLS_VERIFIED_CA;
  return error;
}

int tls_check_fingerprints(const struct tls_check *c, unsigned char whole[WORK_TLS_PIN_SIZE],
                           unsigned char key[WORK_TLS_PIN_SIZE])
{
  struct certificate leaf;

  if (read_certificate(c, 0, &leaf) == -1) {
    return -1;
  }
  digest_of(&leaf.whole, TLSA_SHA256, whole);
  digest_of(&leaf.key, TLSA_SHA256, key);
  return 0;
}

static unsigned check_pins(struct tls_check *c)
{
  unsigned char whole[WORK_TLS_PIN_SIZE], key[WORK_TLS_PIN_SIZE];

  if (tls_check_fingerprints(c, whole, key) == -1) {
    return refuse(c, BR_ERR_X509_INVALID_VALUE, "its certificate is malformed");
  }
  for (uint32_t at = 0; at < c->demand->pins_len; at += WORK_TLS_PIN_SIZE) {
    if (memcmp(c->demand->pins + at, whole, WORK_TLS_PIN_SIZE) == 0 ||
        memcmp(c->demand->pins + at, key, WORK_TLS_PIN_SIZE) == 0) {
      c->verified = TLS_VERIFIED_PIN;
      return 0;
    }
  }
  return refuse(c, BR_ERR_X509_NOT_TRUSTED,
                "its certificate has another fingerprint "
                "(%02x%02x%02x%02x..., key %02x%02x%02x%02x...)",
                whole[0], whole[1], whole[2], whole[3], key[0], key[1], key[2], key[3]);
}

static bool record_matches(const struct tls_check *c, const struct tlsa *record, size_t i)
{
  unsigned char digest[64];
  struct certificate it;

  if (read_certificate(c, i, &it) == -1) {
    return false;
  }
  digest_of(record->selector == TLSA_KEY ? &it.key : &it.whole, record->type, digest);
  return memcmp(digest, record->digest, tlsa_digest_size(record->type)) == 0;
}

/* Usage 2: a certificate of the chain, behind the leaf, is the authority. */
static unsigned check_dane_ta(struct tls_check *c, const struct tlsa *record)
{
  static struct tls_anchor anchor;
  const unsigned char *data;
  unsigned error = BR_ERR_X509_NOT_TRUSTED;
  size_t len;

  for (size_t i = 1; i < c->count; i++) {
    if (!record_matches(c, record, i)) {
      continue;
    }
    data = tls_check_certificate(c, i, &len);
    error = tls_anchor_make(&anchor, data, len);
    if (error == 0 && !br_x509_decoder_isCA(&anchor.decoder)) {
      error = BR_ERR_X509_NOT_CA;
    } else if (error == 0 && is_weak(&anchor.anchor.pkey)) {
      error = BR_ERR_X509_WEAK_PUBLIC_KEY;
    }
    error = error ? explain(c, error) : check_chain(c, &anchor.anchor, 1, i);
    error = error ? error : check_constraints(c, i + 1);
    if (error == 0) {
      return 0;
    }
  }
  return error;
}

static unsigned check_dane(struct tls_check *c)
{
  struct tlsa_set set;

  if (tlsa_decode(c->demand->pins, c->demand->pins_len, &set) == -1) {
    return refuse(c, BR_ERR_X509_NOT_TRUSTED, "its TLSA records are malformed");
  }
  for (uint32_t i = 0; i < set.count; i++) {
    const struct tlsa *record = &set.records[i];
    if (record->usage == TLSA_EE ? record_matches(c, record, 0) : check_dane_ta(c, record) == 0) {
      c->verified = record->usage == TLSA_EE ? TLS_VERIFIED_DANE_EE : TLS_VERIFIED_DANE_TA;
      c->reason[0] = 0; /* of a record before it */
      return 0;
    }
  }
  if (*c->reason) {
    return BR_ERR_X509_NOT_TRUSTED; /* an authority matched, and its chain has a fault of its own */
  }
  return refuse(c, BR_ERR_X509_NOT_TRUSTED,
                "none of its %u usable TLSA records is about its "
                "certificate",
                set.count);
}

static unsigned decide(struct tls_check *c)
{
  const enum tls_kind kind = c->demand->kind;

  if (kind == TLS_MAY || kind == TLS_ENCRYPT) {
    return 0;
  }
  if (is_weak(c->key)) {
    return explain(c, BR_ERR_X509_WEAK_PUBLIC_KEY);
  }
  return kind == TLS_VERIFY        ? check_authority(c)
         : kind == TLS_FINGERPRINT ? check_pins(c)
                                   : check_dane(c);
}

bool tls_check_again(struct tls_check *c, const struct work_tls *demand)
{
  c->demand = demand;
  c->reason[0] = 0;
  return c->key && decide(c) == 0;
}

static unsigned end_chain(const br_x509_class **ctx)
{
  struct tls_check *c = self(ctx);
  const unsigned char *data;
  size_t len;

  c->reason[0] = 0;
  c->verified = TLS_VERIFIED_NOT;
  if (c->overflow) {
    return refuse(c, BR_ERR_X509_LIMIT_EXCEEDED,
                  "it sends more than %d certificates, or more than "
                  "%d bytes of them",
                  TLS_CHAIN_MAX, TLS_CHAIN_SIZE);
  }
  if (c->count == 0) {
    return refuse(c, BR_ERR_X509_EMPTY_CHAIN, "it sends no certificate");
  }
  data = tls_check_certificate(c, 0, &len);
  br_x509_decoder_init(&c->leaf, NULL, NULL);
  br_x509_decoder_push(&c->leaf, data, len);
  c->key = br_x509_decoder_get_pkey(&c->leaf);
  if (!c->key) {
    return explain(c, (unsigned)br_x509_decoder_last_error(&c->leaf));
  }
  return decide(c);
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
  const struct tls_check *c = (const struct tls_check *)(const void *)ctx;

  if (usages) {
    *usages = BR_KEYTYPE_SIGN; /* the only use in ECDHE */
  }
  return c->key;
}

static const br_x509_class class = {
  sizeof(struct tls_check), start_chain, start_cert, append, end_cert, end_chain, get_pkey};

void tls_check_init(struct tls_check *c, const struct work_tls *demand)
{
  c->vtable = &class;
  c->demand = demand;
  c->seen = false;
  c->overflow = false;
  c->count = c->len = 0;
  c->key = NULL;
  c->verified = TLS_VERIFIED_NOT;
  c->reason[0] = 0;
}
