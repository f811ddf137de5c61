#ifndef KEYD_H
#define KEYD_H

#include "buf.h"

#include <stdint.h>

/*
 * The channel to the TLS private keys: run/keyd (relay-smtpd; group relayd).
 * SEQPACKET, a connection for each flight of a handshake; netstring fields,
 * the first is the verb. relay-smtpd asks and waits for the one answer.
 *
 *   request                                answer
 *   L id                                   + version suite secret | - text
 *     the session of that id, which a client has presented.
 *   C server_name kinds                    + kind count certificate ... | - text
 *     the certificate chain for that name (SNI, "" if the client gave none),
 *     of a key whose kind is among kinds. The connection is then that key's.
 *   S algorithm parameters                 + signature | - text
 *     signs a ServerKeyExchange of TLS 1.2 (RFC 8422 5.4) with that key:
 *     parameters are client random, server random, and ServerECDHParams. They
 *     are hashed by relay-keyd, which takes nothing of any other form.
 *   K id version suite secret              none
 *     keep this session.
 *
 * Each verb at most once a connection, S after C. A garbled or superfluous
 * request ends the connection; so do KEYD_CONNECTION_MS. relay-keyd may be
 * between two lives: the asker tries for a while, then gives up the handshake.
 */
#define KEYD_PATH "run/keyd"
#define KEYD_CONNECTION_MS 5000

#define KEYD_NAME_SIZE 256       /* RFC 1035 2.3.4, and a NUL */
#define KEYD_CERTIFICATES_MAX 10 /* in a chain */
#define KEYD_CHAIN_MAX 49152     /* bytes of a chain: with its framing it fits a datagram */
#define KEYD_SIGNATURE_MAX 512   /* RSA with 4096 bits; BearSSL has no room for more */
#define KEYD_TEXT_SIZE 100

/* Kinds of keys, as bits of what a client can take. */
enum { KEYD_RSA = 1, KEYD_P256 = 2, KEYD_P384 = 4 };

/* SignatureAndHashAlgorithm (RFC 5246 7.4.1.4.1): the hash, then 1 for RSA, 3 for ECDSA. */
#define KEYD_ALGORITHM(hash, kind) ((unsigned)(hash) << 8 | ((kind) == KEYD_RSA ? 1U : 3U))

/* Client random, server random, 3 (named curve), the curve's number, the point. */
#define KEYD_RANDOMS 64
#define KEYD_PARAMETERS_MAX (KEYD_RANDOMS + 4 + 97)

/* True if these are the parameters of a curve of ours, complete, and nothing else. */
bool keyd_parameters_valid(const unsigned char *parameters, size_t len);

struct keyd_bytes {
  const unsigned char *data; /* into the datagram */
  size_t len;
};

struct keyd_session {
  unsigned char id[32];
  unsigned version, suite;
  unsigned char secret[48];
};

struct keyd_request {
  char verb; /* 'L', 'C', 'S' or 'K' */
  char name[KEYD_NAME_SIZE];
  unsigned kinds;
  unsigned algorithm;
  struct keyd_bytes parameters;
  struct keyd_session session; /* L: the id alone */
};

int keyd_put_load(struct buf *b, const unsigned char id[32]);
int keyd_put_choose(struct buf *b, const char *server_name, unsigned kinds);
int keyd_put_sign(struct buf *b, unsigned algorithm, const unsigned char *parameters, size_t len);
int keyd_put_save(struct buf *b, const struct keyd_session *s);
int keyd_get_request(const char *data, size_t len, struct keyd_request *q);

/*
 * Answers. The getters return 0, 1 for a refusal (text says why, for a log), or
 * -1 for what is no such answer.
 */
int keyd_put_refusal(struct buf *b, const char *text);
int keyd_put_chain(struct buf *b, unsigned kind, const struct keyd_bytes *certificates, size_t n);
int keyd_put_signature(struct buf *b, const unsigned char *signature, size_t len);
int keyd_put_session(struct buf *b, const struct keyd_session *s);

struct keyd_chain {
  unsigned kind;
  struct keyd_bytes certificates[KEYD_CERTIFICATES_MAX];
  size_t count;
};
int keyd_get_chain(const char *data, size_t len, struct keyd_chain *c, char text[KEYD_TEXT_SIZE]);
int keyd_get_signature(const char *data, size_t len, struct keyd_bytes *signature,
                       char text[KEYD_TEXT_SIZE]);
/* All but s->id. */
int keyd_get_session(const char *data, size_t len, struct keyd_session *s,
                     char text[KEYD_TEXT_SIZE]);

#endif
