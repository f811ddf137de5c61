#ifndef KEYD_KEY_H
#define KEYD_KEY_H

#include "keyd.h"

#include <bearssl.h>

/*
 * One TLS key of relay-keyd: its certificate chain, its private half, the
 * server names that it is for. Parsed from PEM, without files: relay-keyd.c
 * gives the bytes.
 */
#define KEYD_FILE_MAX 131072 /* bytes of a PEM file */
#define KEYD_NAMES_MAX 100   /* server names of a key */
#define KEYD_RSA_BITS_MIN 2048
#define KEYD_RSA_BITS_MAX 4096 /* KEYD_SIGNATURE_MAX */

struct keyd_key {
  unsigned kind;               /* KEYD_RSA, ... */
  char *names[KEYD_NAMES_MAX]; /* "mx.example.com", "*.example.com" */
  size_t name_count;
  struct keyd_bytes chain[KEYD_CERTIFICATES_MAX]; /* each allocated */
  size_t chain_count;
  size_t chain_bytes;
  br_skey_decoder_context secret;  /* the private key is inside */
  br_x509_decoder_context subject; /* the first certificate's public key is inside */
};

/*
 * A new key, or NULL with keyd_key_error(). chain holds one
 * certificate or more, the server's first, and key the private key; either may
 * hold other things besides, so both may be the same file. The names are for
 * messages. The caller wipes key.
 */
struct keyd_key *keyd_key_load(const char *chain_name, const char *chain, size_t chain_len,
                               const char *key_name, const char *key, size_t key_len);
const char *keyd_key_error(void);

/* Adds a server name. 0, or -1 with keyd_key_error(). */
int keyd_key_name(struct keyd_key *k, const char *name);

/* True if the key is for that server name: equal, or "*" for its first label (RFC 6125 6.4.3). */
bool keyd_key_is_for(const struct keyd_key *k, const char *server_name);

/*
 * Signs parameters, which keyd_parameters_valid() approved. Returns the
 * signature's length, 0 if the algorithm is none for this key.
 */
size_t keyd_key_sign(const struct keyd_key *k, unsigned algorithm, const unsigned char *parameters,
                     size_t len, unsigned char signature[KEYD_SIGNATURE_MAX]);

void keyd_key_free(struct keyd_key *k); /* wiped first; NULL is allowed */

#endif
