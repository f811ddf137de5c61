/*
 * The pump on the server's side. The input's first byte chooses:
 *   even  the rest is what a client sends instead of a handshake
 *   odd   within an established session, the rest is text sent in records whose
 *         lengths it says itself; bit 1: the last record is changed on the way.
 * What is read is what was sent, in order, and a changed record gives nothing.
 * The session is made once; each input starts from a copy of it.
 */
#include "tls_pump.h"

#include "clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define TEXT_MAX 4096 /* fits the socket's buffer whatever the records are */

static br_ec_private_key key;
static br_ec_public_key public_key;
static unsigned char key_bytes[BR_EC_KBUF_PRIV_MAX_SIZE], public_bytes[BR_EC_KBUF_PUB_MAX_SIZE];
static unsigned char not_a_certificate[] = "known by its key";
static br_x509_certificate chain = {not_a_certificate, sizeof not_a_certificate};

struct server {
  br_ssl_server_context context;
  struct tls_pump pump;
  unsigned char buffer[TLS_BUFFER_SIZE];
};
struct client {
  br_ssl_client_context context;
  br_x509_knownkey_context x509;
  struct tls_pump pump;
  unsigned char buffer[TLS_BUFFER_SIZE];
};
static struct server server, server_before;
static struct client client, client_before;

static void require(bool condition)
{
  if (!condition) {
    abort();
  }
}

static int64_t soon(void)
{
  return clock_monotonic_ms() + 10000;
}

static void open_server(int fd)
{
  br_ssl_server_zero(&server.context);
  require(tls_engine_setup(&server.context.eng, server.buffer) == 0);
  br_ssl_server_set_single_ec(&server.context, &chain, 1, &key, BR_KEYTYPE_SIGN, BR_KEYTYPE_EC,
                              br_ssl_engine_get_ec(&server.context.eng),
                              br_ecdsa_sign_asn1_get_default());
  br_ssl_server_reset(&server.context);
  tls_pump_open(&server.pump, &server.context.eng, fd, fd);
}

static void *run_client(void *fd)
{
  br_ssl_client_zero(&client.context);
  require(tls_engine_setup(&client.context.eng, client.buffer) == 0);
  br_x509_knownkey_init_ec(&client.x509, &public_key, BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
  br_ssl_engine_set_x509(&client.context.eng, &client.x509.vtable);
  br_ssl_engine_set_default_ecdsa(&client.context.eng);
  br_ssl_client_reset(&client.context, "fuzz.test", 0);
  tls_pump_open(&client.pump, &client.context.eng, *(int *)fd, *(int *)fd);
  require(tls_pump_handshake(&client.pump, soon()) == 0);
  return NULL;
}

static void open_pair(int fds[2])
{
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  br_hmac_drbg_context rng;
  pthread_t thread;
  int fds[2];

  (void)argc;
  (void)argv;
  br_hmac_drbg_init(&rng, &br_sha256_vtable, "fuzz", 4);
  br_ec_keygen(&rng.vtable, br_ec_get_default(), &key, key_bytes, BR_EC_secp256r1);
  br_ec_compute_pub(br_ec_get_default(), &public_key, public_bytes, &key);
  open_pair(fds);
  open_server(fds[0]);
  require(pthread_create(&thread, NULL, run_client, &fds[1]) == 0);
  require(tls_pump_handshake(&server.pump, soon()) == 0);
  pthread_join(thread, NULL);
  close(fds[0]);
  close(fds[1]);
  server_before = server;
  client_before = client;
  return 0;
}

static void handshake(const uint8_t *data, size_t size, const int fds[2])
{
  char byte;

  open_server(fds[0]);
  size = size < TEXT_MAX ? size : TEXT_MAX;
  require(write(fds[1], data, size) == (ssize_t)size);
  shutdown(fds[1], SHUT_WR);
  require(tls_pump_handshake(&server.pump, soon()) == -1);
  require(server.pump.end != TLS_OPEN && server.pump.end != TLS_TIMEOUT);
  require(tls_pump_read(&server.pump, &byte, 1, soon()) <= 0);
}

/* One record with text; with changed, a byte of it is another. */
static void send_record(const uint8_t *text, size_t len, bool changed, int fd)
{
  br_ssl_engine_context *engine = &client.context.eng;
  unsigned char *record;
  size_t room;

  memcpy(br_ssl_engine_sendapp_buf(engine, &room), text, len);
  require(len <= room);
  br_ssl_engine_sendapp_ack(engine, len);
  br_ssl_engine_flush(engine, 0);
  record = br_ssl_engine_sendrec_buf(engine, &room);
  require(record != NULL);
  record[room - 1] ^= changed;
  require(write(fd, record, room) == (ssize_t)room);
  br_ssl_engine_sendrec_ack(engine, room);
}

static void session(const uint8_t *data, size_t size, bool change, const int fds[2])
{
  uint8_t got[TEXT_MAX + 1];
  size_t sent = 0, good = 0, have = 0;
  ssize_t n;

  size = size < TEXT_MAX ? size : TEXT_MAX;
  while (sent < size) {
    size_t len = data[sent] % 100 + 1U;

    len = len < size - sent ? len : size - sent;
    bool changed = change && sent + len == size;
    send_record(data + sent, len, changed, fds[1]);
    sent += len;
    good += changed ? 0 : len;
  }
  shutdown(fds[1], SHUT_WR);
  while ((n = tls_pump_read(&server.pump, got + have, sizeof got - have, soon())) > 0) {
    have += (size_t)n;
  }
  require(have == good && memcmp(got, data, have) == 0);
  require(server.pump.end == (good < sent ? TLS_FAILED : TLS_TRUNCATED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  int fds[2];

  if (size == 0) {
    return 0;
  }
  open_pair(fds);
  if (data[0] % 2 == 0) {
    handshake(data + 1, size - 1, fds);
  } else {
    server = server_before;
    client = client_before;
    server.pump.in = server.pump.out = fds[0];
    session(data + 1, size - 1, data[0] & 2, fds);
  }
  close(fds[0]);
  close(fds[1]);
  return 0;
}
