/*
 * control/servercert and the keys that it lists, made by openssl here: what is
 * taken, what is refused and in which words, which key for which name, and
 * that signatures verify.
 */
#include "keyd_keys.h"

#include "check.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
  char command[1000];
  va_list ap;

  va_start(ap, format);
  vsnprintf(command, sizeof command, format, ap);
  va_end(ap);
  CHECK_INT(system(command), 0);
}

static void make(const char *name, const char *new_key)
{
  shell("openssl req -x509 -newkey %s -nodes -keyout control/%s.key -out control/%s.pem -days 9"
        " -subj /CN=%s 2>/dev/null && chmod 600 control/%s.key",
        new_key, name, name, name, name);
}

static void list(const char *text)
{
  FILE *f = fopen("control/servercert", "w");

  CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static int load(struct keyd_keys *keys)
{
  struct keyd_lines lines;
  int result = keyd_lines_open(&lines);

  keys->count = 0;
  if (result == 0) {
    result = keyd_keys_load(keys, &lines);
  }
  keyd_lines_close(&lines);
  return result;
}

static void check_refused(const char *text, const char *why)
{
  struct keyd_keys keys;

  list(text);
  CHECK_INT(load(&keys), -1);
  if (strncmp(keyd_keys_error(), why, strlen(why)) != 0) {
    CHECK_STR(keyd_keys_error(), why);
  }
}

static void test_refused(void)
{
  shell("cp control/rsa.pem control/cut.pem && truncate -s 500 control/cut.pem");
  shell("openssl pkcs8 -topk8 -in control/rsa.key -out control/locked.key -passout pass:x && "
        "chmod 600 control/locked.key");
  shell("cat control/p256.key control/p384.key > control/two.key && chmod 600 control/two.key");
  shell("cp control/rsa.key control/open.key && chmod 644 control/open.key");
  shell("mkdir control/dir && mkfifo control/fifo && head -c 200000 /dev/zero > control/zero.pem");
  shell("for i in 1 2 3 4 5 6 7 8 9 10 11; do cat control/p256.pem; done > control/long.pem");
  check_refused("", "control/servercert: has 0 lines");
  check_refused("none.pem p256.key\n",
                "control/servercert:1: unable to open control/none.pem: No such file or directory");
  check_refused("# x\n\nrsa.pem\n", "control/servercert:3: control/rsa.pem has a private key and");
  check_refused("rsa.pem open.key\n", "control/servercert:1: control/open.key has a private key");
  check_refused("dir p256.key\n", "control/servercert:1: control/dir is not a regular file");
  check_refused("fifo p256.key\n", "control/servercert:1: control/fifo is not a regular file");
  check_refused("rsa.pem p256.key\n", "control/servercert:1: control/p256.key: not the private key "
                                      "of the first certificate in control/rsa.pem");
  check_refused("p256.pem p384.key\n", "control/servercert:1: control/p384.key: not the private");
  check_refused("p256.key p256.key\n", "control/servercert:1: control/p256.key: no certificate in");
  check_refused("cut.pem rsa.key\n", "control/servercert:1: control/cut.pem: malformed PEM");
  check_refused("zero.pem rsa.key\n", "control/servercert:1: control/zero.pem: larger than");
  check_refused("long.pem p256.key\n", "control/servercert:1: control/long.pem: a chain has at");
  check_refused("rsa.pem locked.key\n",
                "control/servercert:1: control/locked.key: the private key is encrypted");
  check_refused("p256.pem two.key\n", "control/servercert:1: control/two.key: more than one");
  check_refused("p521.pem p521.key\n",
                "control/servercert:1: control/p521.key: ECDSA with another");
  check_refused("small.pem small.key\n", "control/servercert:1: control/small.key: RSA with 1024");
  check_refused("rsa.pem rsa.key a_b..c\n", "control/servercert:1: not a server name: a_b..c");
  check_refused("rsa.pem rsa.key *\n", "control/servercert:1: not a server name: *");
}

static const char *chosen(const struct keyd_keys *keys, const char *name, unsigned kinds)
{
  static const char *const names[] = {"p256", "rsa", "p384"};
  const struct keyd_key *k = keyd_keys_choose(keys, name, kinds);

  for (size_t i = 0; i < keys->count; i++) {
    if (keys->keys[i] == k) {
      return names[i];
    }
  }
  return "none";
}

static void test_choice(const struct keyd_keys *keys)
{
  const unsigned all = KEYD_RSA | KEYD_P256 | KEYD_P384;

  CHECK_STR(chosen(keys, "", all), "p256");
  CHECK_STR(chosen(keys, "", KEYD_RSA), "rsa");
  CHECK_STR(chosen(keys, "", KEYD_P384), "p384");
  CHECK_STR(chosen(keys, "unknown.test", all), "p256");
  CHECK_STR(chosen(keys, "other.test", all), "p384");
  CHECK_STR(chosen(keys, "OTHER.test", all), "p384");
  CHECK_STR(chosen(keys, "other.test", KEYD_RSA | KEYD_P256), "p256");
  CHECK_STR(chosen(keys, "a.wild.test", all), "p384");
  CHECK_STR(chosen(keys, "a.b.wild.test", all), "p256");
  CHECK_STR(chosen(keys, ".wild.test", all), "p256");
  CHECK_STR(chosen(keys, "wild.test", all), "p256");
  CHECK_STR(chosen(keys, "", 0), "none");
}

/* With openssl, from the certificate: an independent judge. */
static void check_signature(const struct keyd_key *k, const char *name, unsigned hash,
                            const char *digest)
{
  unsigned char parameters[KEYD_RANDOMS + 36] = "random", signature[KEYD_SIGNATURE_MAX];
  size_t len;
  int fd;

  memcpy(parameters + KEYD_RANDOMS, "\x03\x00\x1d\x20", 4);
  len = keyd_key_sign(k, KEYD_ALGORITHM(hash, k->kind), parameters, sizeof parameters, signature);
  CHECK(len > 0);
  fd = open("signed", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  CHECK(write(fd, parameters, sizeof parameters) == (ssize_t)sizeof parameters && close(fd) == 0);
  fd = open("signature", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  CHECK(write(fd, signature, len) == (ssize_t)len && close(fd) == 0);
  shell("openssl x509 -in control/%s.pem -noout -pubkey > public && openssl dgst -%s -verify public"
        " -signature signature signed > /dev/null",
        name, digest);
  CHECK_INT(
    keyd_key_sign(k, KEYD_ALGORITHM(hash, k->kind) ^ 2, parameters, sizeof parameters, signature),
    0); /* the other kind's */
  CHECK_INT(keyd_key_sign(k, 0x0201, parameters, sizeof parameters, signature), 0); /* SHA-1 */
}

static void test_signatures(const struct keyd_keys *keys)
{
  check_signature(keys->keys[0], "p256", br_sha256_ID, "sha256");
  check_signature(keys->keys[0], "p256", br_sha512_ID, "sha512");
  check_signature(keys->keys[1], "rsa", br_sha256_ID, "sha256");
  check_signature(keys->keys[1], "rsa", br_sha384_ID, "sha384");
  check_signature(keys->keys[2], "p384", br_sha384_ID, "sha384");
}

int main(void)
{
  char directory[] = "/tmp/relay-keyd-keys.XXXXXX";
  struct keyd_keys keys;

  CHECK(mkdtemp(directory) && chdir(directory) == 0 && mkdir("control", 0700) == 0);
  make("rsa", "rsa:2048");
  make("small", "rsa:1024");
  make("p256", "ec -pkeyopt ec_paramgen_curve:P-256");
  make("p384", "ec -pkeyopt ec_paramgen_curve:P-384");
  make("p521", "ec -pkeyopt ec_paramgen_curve:P-521");
  test_refused();
  shell("openssl ec -in control/p384.key -out control/raw.key 2>/dev/null && chmod 600 "
        "control/raw.key");
  shell("cat control/rsa.pem control/rsa.key > control/both.pem && chmod 600 control/both.pem");
  list("p256.pem p256.key\nboth.pem\np384.pem raw.key other.test *.wild.test\n");
  CHECK_INT(load(&keys), 0);
  CHECK_INT(keys.count, 3);
  if (keys.count == 3) {
    test_choice(&keys);
    test_signatures(&keys);
  }
  keyd_keys_free(&keys);
  shell("rm -r %s", directory);
  return check_done("keyd_keys_test");
}
