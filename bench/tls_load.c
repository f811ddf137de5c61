/*
 * tls_load PORT CLIENTS CONNECTIONS MESSAGES SIZE clear|full|resumed
 *
 * SMTP load over TLS, as smtp-source makes it without: CLIENTS processes make
 * CONNECTIONS connections each to 127.0.0.1:PORT, one after the other, say
 * EHLO, STARTTLS and EHLO (not with "clear"), and send MESSAGES messages of
 * SIZE bytes on each, waiting for each reply. With "resumed" all handshakes
 * but a client's first resume its session. Certificates are not checked, the
 * key exchange's signature is. Prints seconds, connections, resumed, messages.
 */
#include "tls_pump.h"

#include "clock.h"
#include "io.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000

static struct {
  int port;
  unsigned clients, connections, messages;
  size_t size;
  bool tls, resume;
} o;

/* Shared with the parent. */
static struct totals {
  unsigned long connections, resumed, messages;
} * totals;

static struct {
  int fd;
  bool secure;
  br_ssl_client_context context;
  const br_x509_class *x509;
  br_x509_decoder_context decoder;
  unsigned certificates;
  br_ssl_session_parameters session;
  struct tls_pump pump;
  unsigned char buffer[TLS_BUFFER_SIZE];
} c;

static void die(const char *what)
{
  fprintf(stderr, "tls_load: fatal: %s\n", what);
  exit(111);
}

/* --- an X.509 class that takes every chain and gives its first key */

static void start_chain(const br_x509_class **x, const char *name)
{
  (void)x;
  (void)name;
  c.certificates = 0;
}

static void start_cert(const br_x509_class **x, uint32_t len)
{
  (void)x;
  (void)len;
  if (c.certificates++ == 0) {
    br_x509_decoder_init(&c.decoder, NULL, NULL);
  }
}

static void append(const br_x509_class **x, const unsigned char *data, size_t len)
{
  (void)x;
  if (c.certificates == 1) {
    br_x509_decoder_push(&c.decoder, data, len);
  }
}

static void end_cert(const br_x509_class **x)
{
  (void)x;
}

static unsigned end_chain(const br_x509_class **x)
{
  (void)x;
  return br_x509_decoder_get_pkey(&c.decoder) ? 0 : BR_ERR_X509_INVALID_VALUE;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *x, unsigned *usages)
{
  (void)x;
  if (usages) {
    *usages = BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX;
  }
  return br_x509_decoder_get_pkey(&c.decoder);
}

static const br_x509_class take_all = {
  sizeof(br_x509_class *), start_chain, start_cert, append, end_cert, end_chain, get_pkey};

/* --- SMTP */

static int64_t soon(void)
{
  return clock_monotonic_ms() + PATIENCE_MS;
}

static void send_all(const char *data, size_t len)
{
  if ((c.secure ? tls_pump_write_all(&c.pump, data, len, soon())
                : io_write_all(c.fd, data, len, soon())) < 0) {
    die("the server takes nothing");
  }
}

/* A reply, which comes alone. */
static void expect(char digit)
{
  char reply[4096], *last;
  size_t len = 0;
  ssize_t n;

  do {
    n = c.secure ? tls_pump_read(&c.pump, reply + len, sizeof reply - 1 - len, soon())
                 : io_read(c.fd, reply + len, sizeof reply - 1 - len, soon());
    if (n <= 0) {
      die("no reply");
    }
    len += (size_t)n;
    reply[len] = '\0';
    last = len < 2 ? NULL : memrchr(reply, '\n', len - 1);
    last = last ? last + 1 : reply;
  } while (reply[len - 1] != '\n' || last[3] != ' ');
  if (last[0] != digit) {
    die(reply);
  }
}

static void say(const char *command, char digit)
{
  send_all(command, strlen(command));
  expect(digit);
}

static void start_tls(bool again)
{
  unsigned char before[32];

  say("STARTTLS\r\n", '2');
  br_ssl_client_zero(&c.context);
  if (tls_engine_setup(&c.context.eng, c.buffer) < 0) {
    die("no random bytes");
  }
  c.x509 = &take_all;
  br_ssl_engine_set_x509(&c.context.eng, &c.x509);
  br_ssl_engine_set_default_rsavrfy(&c.context.eng);
  br_ssl_engine_set_default_ecdsa(&c.context.eng);
  if (again) {
    br_ssl_engine_set_session_parameters(&c.context.eng, &c.session);
  }
  memcpy(before, c.session.session_id, sizeof before);
  br_ssl_client_reset(&c.context, "bench.test", again);
  tls_pump_open(&c.pump, &c.context.eng, c.fd, c.fd);
  if (tls_pump_handshake(&c.pump, soon()) < 0) {
    char why[TLS_ERROR_SIZE];
    tls_pump_problem(&c.pump, why);
    die(why);
  }
  br_ssl_engine_get_session_parameters(&c.context.eng, &c.session);
  if (again && memcmp(before, c.session.session_id, sizeof before) == 0) {
    __atomic_fetch_add(&totals->resumed, 1, __ATOMIC_RELAXED);
  }
  c.secure = true;
}

static void connect_server(void)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o.port)};
  int yes = 1;

  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  c.fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c.fd < 0 || connect(c.fd, (struct sockaddr *)&to, sizeof to) < 0) {
    die("unable to connect");
  }
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void run_connection(const char *message, size_t len, bool again)
{
  c.secure = false;
  connect_server();
  expect('2');
  say("EHLO bench.test\r\n", '2');
  if (o.tls) {
    start_tls(again);
    say("EHLO bench.test\r\n", '2');
  }
  for (unsigned i = 0; i < o.messages; i++) {
    say("MAIL FROM:<sender@source.example>\r\n", '2');
    say("RCPT TO:<rcpt@sink.example>\r\n", '2');
    say("DATA\r\n", '3');
    send_all(message, len);
    expect('2');
    __atomic_fetch_add(&totals->messages, 1, __ATOMIC_RELAXED);
  }
  say("QUIT\r\n", '2');
  if (c.secure) {
    tls_pump_close(&c.pump, soon());
  }
  close(c.fd);
  __atomic_fetch_add(&totals->connections, 1, __ATOMIC_RELAXED);
}

static void run_client(void)
{
  static const char head[] = "Subject: load\r\n\r\n",
                    line[] = "0123456789 abcdefghij klmnopqrst uvwxyz\r\n";
  char *message = malloc(o.size + sizeof head + sizeof line + 5);
  size_t len = sizeof head - 1;

  if (!message) {
    die("out of memory");
  }
  memcpy(message, head, len);
  while (len < o.size) {
    memcpy(message + len, line, sizeof line - 1);
    len += sizeof line - 1;
  }
  memcpy(message + len, ".\r\n", 3);
  for (unsigned i = 0; i < o.connections; i++) {
    run_connection(message, len + 3, o.resume && i > 0);
  }
  exit(0);
}

int main(int argc, char **argv)
{
  int status, failed = 0;
  int64_t began;

  if (argc != 7) {
    fputs("usage: tls_load PORT CLIENTS CONNECTIONS MESSAGES SIZE clear|full|resumed\n", stderr);
    return 100;
  }
  o.port = atoi(argv[1]);
  o.clients = (unsigned)atoi(argv[2]);
  o.connections = (unsigned)atoi(argv[3]);
  o.messages = (unsigned)atoi(argv[4]);
  o.size = (size_t)atol(argv[5]);
  o.tls = strcmp(argv[6], "clear") != 0;
  o.resume = strcmp(argv[6], "resumed") == 0;
  totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  began = clock_monotonic_ms();
  for (unsigned i = 0; i < o.clients; i++) {
    if (fork() == 0) {
      run_client();
    }
  }
  while (wait(&status) > 0) {
    failed += status != 0;
  }
  printf("%.3f %lu %lu %lu\n", (double)(clock_monotonic_ms() - began) / 1000, totals->connections,
         totals->resumed, totals->messages);
  return failed ? 111 : 0;
}
