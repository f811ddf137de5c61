/* Names and words for what BearSSL has as numbers; declared in tls_engine.h. */
#include "tls_engine.h"

#include <stdio.h>
#include <string.h>

struct word {
  int number;
  const char *text;
};

/* Each with OpenSSL's name, which people know, and IANA's. */
#define CIPHER(iana) BR_TLS_##iana, "TLS_" #iana

static const struct {
  int number;
  const char *iana, *openssl;
} ciphers[] = {
  {CIPHER(ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), "ECDHE-ECDSA-AES128-GCM-SHA256"},
  {CIPHER(ECDHE_RSA_WITH_AES_128_GCM_SHA256), "ECDHE-RSA-AES128-GCM-SHA256"},
  {CIPHER(ECDHE_ECDSA_WITH_AES_256_GCM_SHA384), "ECDHE-ECDSA-AES256-GCM-SHA384"},
  {CIPHER(ECDHE_RSA_WITH_AES_256_GCM_SHA384), "ECDHE-RSA-AES256-GCM-SHA384"},
  {CIPHER(ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256), "ECDHE-ECDSA-CHACHA20-POLY1305"},
  {CIPHER(ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256), "ECDHE-RSA-CHACHA20-POLY1305"},
};

static const struct word curve_names[] = {
  {BR_EC_secp256r1, "secp256r1"},
  {BR_EC_secp384r1, "secp384r1"},
  {BR_EC_curve25519, "x25519"},
};

static const struct word alerts[] = {
  {BR_ALERT_UNEXPECTED_MESSAGE, "unexpected message"},
  {BR_ALERT_BAD_RECORD_MAC, "bad record MAC"},
  {BR_ALERT_RECORD_OVERFLOW, "record overflow"},
  {BR_ALERT_DECOMPRESSION_FAILURE, "decompression failure"},
  {BR_ALERT_HANDSHAKE_FAILURE, "handshake failure"},
  {BR_ALERT_BAD_CERTIFICATE, "bad certificate"},
  {BR_ALERT_UNSUPPORTED_CERTIFICATE, "unsupported certificate"},
  {BR_ALERT_CERTIFICATE_REVOKED, "certificate revoked"},
  {BR_ALERT_CERTIFICATE_EXPIRED, "certificate expired"},
  {BR_ALERT_CERTIFICATE_UNKNOWN, "certificate unknown"},
  {BR_ALERT_ILLEGAL_PARAMETER, "illegal parameter"},
  {BR_ALERT_UNKNOWN_CA, "unknown CA"},
  {BR_ALERT_ACCESS_DENIED, "access denied"},
  {BR_ALERT_DECODE_ERROR, "decode error"},
  {BR_ALERT_DECRYPT_ERROR, "decrypt error"},
  {BR_ALERT_PROTOCOL_VERSION, "protocol version"},
  {BR_ALERT_INSUFFICIENT_SECURITY, "insufficient security"},
  {BR_ALERT_INTERNAL_ERROR, "internal error"},
  {86, "inappropriate fallback"}, /* RFC 7507 */
  {BR_ALERT_USER_CANCELED, "user canceled"},
  {BR_ALERT_NO_RENEGOTIATION, "no renegotiation"},
  {BR_ALERT_UNSUPPORTED_EXTENSION, "unsupported extension"},
  {112, "unrecognized name"}, /* RFC 6066 */
  {BR_ALERT_NO_APPLICATION_PROTOCOL, "no application protocol"},
};

static const struct word errors[] = {
  {BR_ERR_OK, "no error"},
  {BR_ERR_BAD_PARAM, "bad parameter"},
  {BR_ERR_BAD_STATE, "bad state"},
  {BR_ERR_UNSUPPORTED_VERSION, "not TLS, or a version that is not supported"},
  {BR_ERR_BAD_VERSION, "a record of another version"},
  {BR_ERR_BAD_LENGTH, "a record of invalid length"},
  {BR_ERR_TOO_LARGE, "a record that is too large"},
  {BR_ERR_BAD_MAC, "a record that was changed on the way"},
  {BR_ERR_NO_RANDOM, "no random bytes"},
  {BR_ERR_UNKNOWN_TYPE, "a record of unknown type"},
  {BR_ERR_UNEXPECTED, "an unexpected message"},
  {BR_ERR_BAD_CCS, "an invalid ChangeCipherSpec"},
  {BR_ERR_BAD_ALERT, "an invalid alert"},
  {BR_ERR_BAD_HANDSHAKE, "a malformed handshake message"},
  {BR_ERR_OVERSIZED_ID, "a session id that is too long"},
  {BR_ERR_BAD_CIPHER_SUITE, "a cipher suite that was not offered"},
  {BR_ERR_BAD_COMPRESSION, "compression that was not offered"},
  {BR_ERR_BAD_FRAGLEN, "an invalid maximum fragment length"},
  {BR_ERR_BAD_SECRENEG, "invalid secure renegotiation data"},
  {BR_ERR_EXTRA_EXTENSION, "an extension that was not asked for"},
  {BR_ERR_BAD_SNI, "an invalid server name"},
  {BR_ERR_BAD_HELLO_DONE, "an invalid ServerHelloDone"},
  {BR_ERR_LIMIT_EXCEEDED, "a key that is too large"},
  {BR_ERR_BAD_FINISHED, "a Finished message that does not match"},
  {BR_ERR_RESUME_MISMATCH, "a resumed session with other parameters"},
  {BR_ERR_INVALID_ALGORITHM, "an unsupported algorithm or curve, or no signature"},
  {BR_ERR_BAD_SIGNATURE, "a wrong signature in the key exchange"},
  {BR_ERR_WRONG_KEY_USAGE, "a key that may not be used for this"},
  {BR_ERR_NO_CLIENT_AUTH, "no client certificate"},
  {BR_ERR_IO, "connection lost"},
  {BR_ERR_X509_INVALID_VALUE, "a malformed certificate"},
  {BR_ERR_X509_TRUNCATED, "a malformed certificate: cut off"},
  {BR_ERR_X509_EMPTY_CHAIN, "no certificate"},
  {BR_ERR_X509_UNSUPPORTED, "a certificate with unsupported features"},
  {BR_ERR_X509_LIMIT_EXCEEDED, "a certificate whose key is too large"},
  {BR_ERR_X509_WRONG_KEY_TYPE, "a certificate whose key is of the wrong type"},
  {BR_ERR_X509_BAD_SIGNATURE, "a certificate with a wrong signature"},
  {BR_ERR_X509_TIME_UNKNOWN, "the time is unknown"},
  {BR_ERR_X509_EXPIRED, "a certificate that has expired, or is not yet valid"},
  {BR_ERR_X509_DN_MISMATCH, "a certificate chain whose names do not match"},
  {BR_ERR_X509_BAD_SERVER_NAME, "a certificate for another name"},
  {BR_ERR_X509_CRITICAL_EXTENSION, "a certificate with an unknown critical extension"},
  {BR_ERR_X509_NOT_CA, "a certificate chain through one that is no CA"},
  {BR_ERR_X509_FORBIDDEN_KEY_USAGE, "a certificate whose key may not be used for this"},
  {BR_ERR_X509_WEAK_PUBLIC_KEY, "a certificate with a weak key"},
  {BR_ERR_X509_NOT_TRUSTED, "a certificate that no trusted CA has signed"},
};

#define FIND(list, number) find((list), sizeof(list) / sizeof *(list), (number))
static const char *find(const struct word *list, size_t n, int number)
{
  for (size_t i = 0; i < n; i++) {
    if (list[i].number == number) {
      return list[i].text;
    }
  }
  return NULL;
}

static const char *cipher_name(const br_ssl_engine_context *engine, bool iana)
{
  for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
    if (ciphers[i].number == engine->session.cipher_suite) {
      return iana ? ciphers[i].iana : ciphers[i].openssl;
    }
  }
  return "unknown";
}

static const char *curve_name(const br_ssl_engine_context *engine, bool resumed)
{
  return resumed ? NULL : FIND(curve_names, engine->ecdhe_curve);
}

void tls_facts(const br_ssl_engine_context *engine, bool resumed, char out[TLS_FACTS_SIZE])
{
  const char *curve = curve_name(engine, resumed);

  snprintf(out, TLS_FACTS_SIZE, "%s,%s%s%s",
           engine->session.version == BR_TLS12 ? "TLSv1.2" : "TLS", cipher_name(engine, false),
           curve ? "," : "", curve ? curve : "");
}

void tls_clause(const br_ssl_engine_context *engine, bool resumed, char out[TLS_FACTS_SIZE])
{
  const char *curve = curve_name(engine, resumed);

  snprintf(out, TLS_FACTS_SIZE, "tls %s%s%s", cipher_name(engine, true), curve ? " group " : "",
           curve ? curve : "");
}

static void alert_text(const char *who, int number, char out[TLS_ERROR_SIZE])
{
  const char *text = FIND(alerts, number);

  snprintf(out, TLS_ERROR_SIZE, "%s alert %d%s%s%s", who, number, text ? " (" : "",
           text ? text : "", text ? ")" : "");
}

void tls_error_text(int error, char out[TLS_ERROR_SIZE])
{
  const char *text = FIND(errors, error);

  if (text) {
    snprintf(out, TLS_ERROR_SIZE, "%s", text);
  } else if (error >= BR_ERR_SEND_FATAL_ALERT) {
    alert_text("sent", error - BR_ERR_SEND_FATAL_ALERT, out);
  } else if (error >= BR_ERR_RECV_FATAL_ALERT) {
    alert_text("received", error - BR_ERR_RECV_FATAL_ALERT, out);
  } else if (error > BR_ERR_X509_OK) {
    snprintf(out, TLS_ERROR_SIZE, "a malformed certificate (%d)", error);
  } else {
    snprintf(out, TLS_ERROR_SIZE, "TLS error %d", error);
  }
}
