/*
 * The pump on both sides of a socketpair: a server here, a client in a child.
 * The client knows the server's key (br_x509_knownkey), so no certificate is
 * needed: what is sent as one is never looked at.
 */
#include "tls_pump.h"

#include "check.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE 300000

static br_ec_private_key key;
static br_ec_public_key public_key;
static unsigned char key_bytes[BR_EC_KBUF_PRIV_MAX_SIZE], public_bytes[BR_EC_KBUF_PUB_MAX_SIZE];
static unsigned char not_a_certificate[] = "known by its key";
static br_x509_certificate chain = {not_a_certificate, sizeof not_a_certificate};

static struct {
  br_ssl_server_context context;
  struct tls_pump pump;
  unsigned char buffer[TLS_BUFFER_SIZE];
} server;

static struct {
  br_ssl_client_context context;
  br_x509_knownkey_context x509;
  struct tls_pump pump;
  unsigned char buffer[TLS_BUFFER_SIZE];
} client;

static int64_t soon(int ms)
{
  return clock_monotonic_ms() + ms;
}

static void make_key(void)
{
  const br_prng_seeder seeder = br_prng_seeder_system(NULL);
  br_hmac_drbg_context rng;

  br_hmac_drbg_init(&rng, &br_sha256_vtable, "unit test", 9);
  if (seeder) {
    seeder(&rng.vtable);
  }
  br_ec_keygen(&rng.vtable, br_ec_get_default(), &key, key_bytes, BR_EC_secp256r1);
  br_ec_compute_pub(br_ec_get_default(), &public_key, public_bytes, &key);
}

static void open_server(int fd)
{
  br_ssl_server_zero(&server.context);
  CHECK_INT(tls_engine_setup(&server.context.eng, server.buffer), 0);
  br_ssl_server_set_single_ec(&server.context, &chain, 1, &key, BR_KEYTYPE_SIGN, BR_KEYTYPE_EC,
                              br_ssl_engine_get_ec(&server.context.eng),
                              br_ecdsa_sign_asn1_get_default());
  CHECK_INT(br_ssl_server_reset(&server.context), 1);
  tls_pump_open(&server.pump, &server.context.eng, fd, fd);
}

/* In the child. */
static int open_client(int fd)
{
  br_ssl_client_zero(&client.context);
  if (tls_engine_setup(&client.context.eng, client.buffer) < 0) {
    return -1;
  }
  br_x509_knownkey_init_ec(&client.x509, &public_key, BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
  br_ssl_engine_set_x509(&client.context.eng, &client.x509.vtable);
  br_ssl_engine_set_default_ecdsa(&client.context.eng);
  br_ssl_client_reset(&client.context, "unit.test", 0);
  tls_pump_open(&client.pump, &client.context.eng, fd, fd);
  return tls_pump_handshake(&client.pump, soon(10000));
}

/* Runs act(fd) as the client in a child; returns the server's end. */
static int start(void (*act)(int fd), pid_t *pid)
{
  int fds[2];

  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
    _exit(1);
  }
  *pid = fork();
  if (*pid == 0) {
    close(fds[0]);
    act(fds[1]);
    _exit(0);
  }
  close(fds[1]);
  return fds[0];
}

static void finish(int fd, pid_t pid)
{
  int status = -1;

  close(fd);
  waitpid(pid, &status, 0);
  CHECK_INT(status, 0);
}

static ssize_t read_all(struct tls_pump *p, char *to, size_t len)
{
  size_t have = 0;
  ssize_t n = 1;

  while (have < len && n > 0) {
    n = tls_pump_read(p, to + have, len - have, soon(10000));
    have += n > 0 ? (size_t)n : 0;
  }
  return n < 0 ? n : (ssize_t)have;
}

/* Echoes LARGE bytes, then closes properly. */
static void act_echo(int fd)
{
  static char bytes[LARGE];

  if (open_client(fd) < 0 || read_all(&client.pump, bytes, LARGE) != LARGE ||
      tls_pump_write_all(&client.pump, bytes, LARGE, soon(10000)) < 0) {
    _exit(1);
  }
  tls_pump_close(&client.pump, soon(1000));
}

static void test_echo(void)
{
  static char sent[LARGE], got[LARGE];
  char text[TLS_FACTS_SIZE];
  pid_t pid;
  int fd = start(act_echo, &pid);

  for (size_t i = 0; i < LARGE; i++) {
    sent[i] = (char)(i * 7 + i / 251);
  }
  open_server(fd);
  CHECK_INT(tls_pump_handshake(&server.pump, soon(10000)), 0);
  tls_facts(&server.context.eng, false, text);
  CHECK_STR(text, "TLSv1.2,ECDHE-ECDSA-AES128-GCM-SHA256,x25519");
  tls_clause(&server.context.eng, false, text);
  CHECK_STR(text, "tls TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 group x25519");
  tls_facts(&server.context.eng, true, text);
  CHECK_STR(text, "TLSv1.2,ECDHE-ECDSA-AES128-GCM-SHA256");
  CHECK(!tls_pump_pending(&server.pump));
  CHECK_INT(tls_pump_write_all(&server.pump, sent, LARGE, soon(10000)), 0);
  CHECK_INT(read_all(&server.pump, got, LARGE), LARGE);
  CHECK(memcmp(sent, got, LARGE) == 0);
  CHECK_INT(tls_pump_read(&server.pump, got, 1, soon(10000)), 0);
  CHECK_INT(server.pump.end, TLS_CLOSED);
  CHECK_INT(tls_pump_read(&server.pump, got, 1, soon(10000)), 0);
  CHECK_INT(tls_pump_write_all(&server.pump, sent, 1, soon(10000)), -1);
  CHECK_INT(errno, EPIPE);
  finish(fd, pid);
}

/* Says a word, waits, and breaks off without close_notify. */
static void act_truncate(int fd)
{
  char byte;

  if (open_client(fd) < 0 || tls_pump_write_all(&client.pump, "word", 4, soon(10000)) < 0 ||
      tls_pump_read(&client.pump, &byte, 1, soon(10000)) != 1) {
    _exit(1);
  }
}

static void test_timeout_and_truncation(void)
{
  char bytes[10], text[TLS_ERROR_SIZE];
  pid_t pid;
  int fd = start(act_truncate, &pid);

  open_server(fd);
  CHECK_INT(tls_pump_handshake(&server.pump, soon(10000)), 0);
  CHECK_INT(tls_pump_read(&server.pump, bytes, 3, soon(10000)), 3);
  CHECK(tls_pump_pending(&server.pump));
  CHECK_INT(tls_pump_read(&server.pump, bytes, 3, soon(10000)), 1);
  CHECK_INT(tls_pump_read(&server.pump, bytes, 3, soon(20)), -1);
  CHECK_INT(errno, ETIMEDOUT);
  CHECK_INT(server.pump.end, TLS_TIMEOUT);
  CHECK_INT(tls_pump_write_all(&server.pump, "x", 1, soon(10000)), 0);
  CHECK_INT(tls_pump_read(&server.pump, bytes, 3, soon(10000)), -1);
  CHECK_INT(errno, ECONNRESET);
  CHECK_INT(server.pump.end, TLS_TRUNCATED);
  tls_pump_problem(&server.pump, text);
  CHECK_STR(text, "connection ended");
  tls_pump_close(&server.pump, soon(1000));
  CHECK_INT(server.pump.end, TLS_TRUNCATED);
  finish(fd, pid);
}

static void act_garbage(int fd)
{
  if (write(fd, "EHLO not.tls.test\r\n", 19) != 19) {
    _exit(1);
  }
}

static void test_garbage(void)
{
  char text[TLS_ERROR_SIZE];
  pid_t pid;
  int fd = start(act_garbage, &pid);

  open_server(fd);
  CHECK_INT(tls_pump_handshake(&server.pump, soon(10000)), -1);
  CHECK_INT(server.pump.end, TLS_FAILED);
  tls_pump_problem(&server.pump, text);
  CHECK_STR(text, "not TLS, or a version that is not supported");
  finish(fd, pid);
}

static void act_silence(int fd)
{
  char byte;

  while (read(fd, &byte, 1) > 0) {
  }
}

static void test_silence(void)
{
  pid_t pid;
  int fd = start(act_silence, &pid);

  open_server(fd);
  CHECK_INT(tls_pump_handshake(&server.pump, soon(20)), -1);
  CHECK_INT(server.pump.end, TLS_TIMEOUT);
  tls_pump_close(&server.pump, soon(1000));
  CHECK_INT(tls_pump_handshake(&server.pump, soon(20)), -1);
  CHECK_INT(server.pump.end, TLS_CLOSED);
  finish(fd, pid);
}

/* Changes a byte of a record on its way. */
static void act_changed(int fd)
{
  unsigned char record[200];
  size_t len;

  if (open_client(fd) < 0) {
    _exit(1);
  }
  memcpy(br_ssl_engine_sendapp_buf(&client.context.eng, &len), "word", 4);
  br_ssl_engine_sendapp_ack(&client.context.eng, 4);
  br_ssl_engine_flush(&client.context.eng, 0);
  const unsigned char *p = br_ssl_engine_sendrec_buf(&client.context.eng, &len);
  if (!p || len > sizeof record) {
    _exit(1);
  }
  memcpy(record, p, len);
  record[len - 1] ^= 1;
  if (write(fd, record, len) != (ssize_t)len) {
    _exit(1);
  }
  act_silence(fd);
}

static void test_changed(void)
{
  char bytes[4], text[TLS_ERROR_SIZE];
  pid_t pid;
  int fd = start(act_changed, &pid);

  open_server(fd);
  CHECK_INT(tls_pump_handshake(&server.pump, soon(10000)), 0);
  CHECK_INT(tls_pump_read(&server.pump, bytes, sizeof bytes, soon(10000)), -1);
  CHECK_INT(errno, EPROTO);
  tls_pump_problem(&server.pump, text);
  CHECK_STR(text, "a record that was changed on the way");
  finish(fd, pid);
}

static void test_text(void)
{
  char text[TLS_ERROR_SIZE];

  tls_error_text(BR_ERR_SEND_FATAL_ALERT + BR_ALERT_HANDSHAKE_FAILURE, text);
  CHECK_STR(text, "sent alert 40 (handshake failure)");
  tls_error_text(BR_ERR_RECV_FATAL_ALERT + BR_ALERT_PROTOCOL_VERSION, text);
  CHECK_STR(text, "received alert 70 (protocol version)");
  tls_error_text(BR_ERR_RECV_FATAL_ALERT + 99, text);
  CHECK_STR(text, "received alert 99");
  tls_error_text(BR_ERR_X509_EXPIRED, text);
  CHECK_STR(text, "a certificate that has expired, or is not yet valid");
  tls_error_text(BR_ERR_X509_BAD_DN, text);
  CHECK_STR(text, "a malformed certificate (47)");
}

/* Two engines of two processes must not have the same random bytes. */
static void test_random(void)
{
  unsigned char a[32], b[32];

  br_ssl_server_zero(&server.context);
  CHECK_INT(tls_engine_setup(&server.context.eng, server.buffer), 0);
  br_hmac_drbg_generate(&server.context.eng.rng, a, sizeof a);
  br_ssl_server_zero(&server.context);
  CHECK_INT(tls_engine_setup(&server.context.eng, server.buffer), 0);
  br_hmac_drbg_generate(&server.context.eng.rng, b, sizeof b);
  CHECK(memcmp(a, b, sizeof a) != 0);
}

int main(void)
{
  make_key();
  test_echo();
  test_timeout_and_truncation();
  test_garbage();
  test_silence();
  test_changed();
  test_text();
  test_random();
  return check_done("tls_pump_test");
}
