#ifndef TLS_ENGINE_H
#define TLS_ENGINE_H

#include <bearssl.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What a server and a client of TLS have in common: BearSSL's engine, with
 * nothing left to its defaults.
 *
 *   versions  TLS 1.2 (libbearssl has no 1.3)
 *   suites    ECDHE only; AES-GCM before ChaCha20-Poly1305
 *   curves    x25519, P-256, P-384
 *   hashes    SHA-256, SHA-384, SHA-512; no MD5, no SHA-1
 *   options   no renegotiation
 *   random    getrandom() alone
 *
 * A server calls br_ssl_server_zero(), tls_engine_setup(), its own settings
 * (policy, session cache), br_ssl_server_reset(). A client calls
 * br_ssl_client_zero(), tls_engine_setup(), br_ssl_engine_set_x509() and the
 * signature checks, br_ssl_client_reset(). Then tls_pump.h drives it.
 */

/* Room for the largest record each way; its pages cost nothing until they are used. */
#define TLS_BUFFER_SIZE BR_SSL_BUFSIZE_BIDI

/*
 * Sets all of the above, and buffer (TLS_BUFFER_SIZE bytes, the caller's, which
 * lives as long as the engine). Opens no file. 0, or -1 with errno if the
 * kernel gives no random bytes. Call it in the process that will speak: a
 * fork after it would have the same random bytes as its parent.
 */
int tls_engine_setup(br_ssl_engine_context *engine, void *buffer);

/* Overwrites memory that held secrets, and is not optimised away. */
void tls_wipe(void *data, size_t len);

/*
 * Of an established connection, for logs: version, cipher
 * suite in OpenSSL's spelling, and the curve of the key exchange, which a
 * resumed session has not: "TLSv1.2,ECDHE-RSA-AES128-GCM-SHA256,x25519".
 */
#define TLS_FACTS_SIZE 80
void tls_facts(const br_ssl_engine_context *engine, bool resumed, char out[TLS_FACTS_SIZE]);

/* The same as clauses of a Received line (RFC 8314 4.3):
 * "tls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 group x25519". */
void tls_clause(const br_ssl_engine_context *engine, bool resumed, char out[TLS_FACTS_SIZE]);

/* BearSSL's error number (br_ssl_engine_last_error()) in words, without a stop. */
#define TLS_ERROR_SIZE 100
void tls_error_text(int error, char out[TLS_ERROR_SIZE]);

#endif
