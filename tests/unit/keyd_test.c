/* The channels to relay-keyd and relay-authd: what is put is what is got, and nothing less is
 * taken. */
#include "authd.h"
#include "keyd.h"

#include "check.h"

#include <stdlib.h>

static unsigned char parameters[KEYD_RANDOMS + 4 + 65];
static struct keyd_session session = {.version = 0x0303, .suite = 0xc02b};

static int take_request(const char *data, size_t len)
{
  struct keyd_request q;
  return keyd_get_request(data, len, &q);
}

static int take_chain(const char *data, size_t len)
{
  struct keyd_chain c;
  char text[KEYD_TEXT_SIZE];
  return keyd_get_chain(data, len, &c, text);
}

static int take_signature(const char *data, size_t len)
{
  struct keyd_bytes b;
  char text[KEYD_TEXT_SIZE];
  return keyd_get_signature(data, len, &b, text);
}

static int take_session(const char *data, size_t len)
{
  struct keyd_session s;
  char text[KEYD_TEXT_SIZE];
  return keyd_get_session(data, len, &s, text);
}

static int take_auth(const char *data, size_t len)
{
  struct authd_request q;
  return authd_get_request(data, len, &q);
}

static int take_auth_answer(const char *data, size_t len)
{
  char verb, text[AUTHD_TEXT_SIZE];
  return authd_get_answer(data, len, &verb, text);
}

/* Whole it is taken; cut anywhere, or with a byte more, it is not. */
static void check_exact(struct buf *b, int (*take)(const char *data, size_t len), int whole)
{
  CHECK_INT(take(b->data, b->len), whole);
  for (size_t i = 0; i < b->len; i++) {
    char *copy = malloc(i ? i : 1); /* so that a sanitizer sees a read past the end */
    memcpy(copy, b->data, i);
    CHECK_INT(take(copy, i), -1);
    free(copy);
  }
  buf_append_char(b, ',');
  CHECK_INT(take(b->data, b->len), -1);
  buf_reset(b);
}

static void test_requests(struct buf *b)
{
  struct keyd_request q;

  CHECK_INT(keyd_put_choose(b, "mx.example.com", KEYD_RSA | KEYD_P256), 0);
  CHECK_INT(keyd_get_request(b->data, b->len, &q), 0);
  CHECK_INT(q.verb, 'C');
  CHECK_STR(q.name, "mx.example.com");
  CHECK_INT(q.kinds, KEYD_RSA | KEYD_P256);
  check_exact(b, take_request, 0);
  CHECK_INT(keyd_put_sign(b, 0x0403, parameters, sizeof parameters), 0);
  CHECK_INT(keyd_get_request(b->data, b->len, &q), 0);
  CHECK_INT(q.algorithm, 0x0403);
  CHECK_INT(q.parameters.len, sizeof parameters);
  check_exact(b, take_request, 0);
  CHECK_INT(keyd_put_load(b, session.id), 0);
  check_exact(b, take_request, 0);
  CHECK_INT(keyd_put_save(b, &session), 0);
  CHECK_INT(keyd_get_request(b->data, b->len, &q), 0);
  CHECK(memcmp(&q.session, &session, sizeof session) == 0);
  check_exact(b, take_request, 0);
}

/* What relay-keyd would sign: nothing but the parameters of a ServerKeyExchange. */
static void test_parameters(void)
{
  unsigned char p[KEYD_PARAMETERS_MAX + 1];

  memset(p, 0x20, sizeof p); /* a CertificateVerify of TLS 1.3 begins with 64 blanks */
  CHECK(!keyd_parameters_valid(p, 64 + 34 + 32));
  memcpy(p + KEYD_RANDOMS, "\x03\x00\x1d\x20", 4);
  CHECK(keyd_parameters_valid(p, KEYD_RANDOMS + 4 + 32));
  CHECK(!keyd_parameters_valid(p, KEYD_RANDOMS + 4 + 31));
  CHECK(!keyd_parameters_valid(p, KEYD_RANDOMS + 4 + 33));
  memcpy(p + KEYD_RANDOMS, "\x03\x00\x17\x41\x04", 5);
  CHECK(keyd_parameters_valid(p, KEYD_RANDOMS + 4 + 65));
  p[KEYD_RANDOMS + 4] = 2;
  CHECK(!keyd_parameters_valid(p, KEYD_RANDOMS + 4 + 65));
  memcpy(p + KEYD_RANDOMS, "\x03\x00\x19\x41\x04", 5);
  CHECK(!keyd_parameters_valid(p, KEYD_RANDOMS + 4 + 65));
  memcpy(p + KEYD_RANDOMS, "\x02\x00\x17\x41\x04", 5);
  CHECK(!keyd_parameters_valid(p, KEYD_RANDOMS + 4 + 65));
  CHECK(!keyd_parameters_valid(p, 0));
}

static void test_answers(struct buf *b)
{
  struct keyd_bytes certificates[2] = {{(const unsigned char *)"one", 3},
                                       {(const unsigned char *)"second", 6}};
  struct keyd_chain c;
  struct keyd_session s = {.version = 0};
  char text[KEYD_TEXT_SIZE];

  CHECK_INT(keyd_put_chain(b, KEYD_P384, certificates, 2), 0);
  CHECK_INT(keyd_get_chain(b->data, b->len, &c, text), 0);
  CHECK_INT(c.kind, KEYD_P384);
  CHECK_INT(c.count, 2);
  CHECK(c.certificates[1].len == 6 && memcmp(c.certificates[1].data, "second", 6) == 0);
  check_exact(b, take_chain, 0);
  CHECK_INT(keyd_put_chain(b, KEYD_P384 | KEYD_RSA, certificates, 2), 0);
  CHECK_INT(take_chain(b->data, b->len), -1);
  buf_reset(b);
  CHECK_INT(keyd_put_chain(b, KEYD_RSA, certificates, 0), 0);
  CHECK_INT(take_chain(b->data, b->len), -1);
  buf_reset(b);
  CHECK_INT(keyd_put_signature(b, parameters, 70), 0);
  check_exact(b, take_signature, 0);
  CHECK_INT(keyd_put_session(b, &session), 0);
  CHECK_INT(keyd_get_session(b->data, b->len, &s, text), 0);
  CHECK_INT(s.suite, 0xc02b);
  CHECK(memcmp(s.secret, session.secret, sizeof s.secret) == 0);
  check_exact(b, take_session, 0);
  CHECK_INT(keyd_put_refusal(b, "no such session"), 0);
  CHECK_INT(keyd_get_session(b->data, b->len, &s, text), 1);
  CHECK_STR(text, "no such session");
  check_exact(b, take_session, 1);
}

static void test_authd(struct buf *b)
{
  struct authd_request in = {.verb = 'P', .client = "192.0.2.1", .user = "ann", .password = "p w"};
  struct authd_request out;
  char verb, text[AUTHD_TEXT_SIZE];

  CHECK_INT(authd_put_request(b, &in), 0);
  CHECK_INT(authd_get_request(b->data, b->len, &out), 0);
  CHECK_STR(out.user, "ann");
  CHECK_STR(out.password, "p w");
  CHECK_STR(out.response, "");
  check_exact(b, take_auth, 0);
  in.verb = 'C';
  strcpy(in.challenge, "<x@y>");
  strcpy(in.response, "0123456789abcdef0123456789abcdef");
  CHECK_INT(authd_put_request(b, &in), 0);
  CHECK_INT(authd_get_request(b->data, b->len, &out), 0);
  CHECK_STR(out.challenge, "<x@y>");
  CHECK_STR(out.response, in.response);
  CHECK_STR(out.password, "");
  check_exact(b, take_auth, 0);
  strcpy(in.user, "a b");
  CHECK_INT(authd_put_request(b, &in), 0);
  CHECK_INT(take_auth(b->data, b->len), -1);
  buf_reset(b);
  CHECK_INT(authd_put_answer(b, 'T', "too many"), 0);
  CHECK_INT(authd_get_answer(b->data, b->len, &verb, text), 0);
  CHECK_INT(verb, 'T');
  CHECK_STR(text, "too many");
  check_exact(b, take_auth_answer, 0);
  CHECK_INT(authd_put_answer(b, '+', ""), 0);
  check_exact(b, take_auth_answer, 0);
  CHECK_INT(authd_put_answer(b, 'x', ""), 0);
  CHECK_INT(take_auth_answer(b->data, b->len), -1);
}

int main(void)
{
  struct buf b = BUF_INIT(65536);

  memcpy(parameters + KEYD_RANDOMS, "\x03\x00\x17\x41\x04", 5);
  memset(session.id, 7, sizeof session.id);
  memset(session.secret, 9, sizeof session.secret);
  test_requests(&b);
  test_parameters();
  test_answers(&b);
  test_authd(&b);
  buf_free(&b);
  return check_done("keyd_test");
}
