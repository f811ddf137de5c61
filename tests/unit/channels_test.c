/* The datagrams between the programs: what is put is what is got, and nothing less is taken. */
#include "bounce.h"
#include "check.h"
#include "ctl.h"
#include "dispatch.h"
#include "intake.h"
#include "resolve.h"
#include "work.h"

#include <stdlib.h>

static struct outcome sample_outcome(void)
{
  struct outcome o = {.rcpt = 7, .verdict = VERDICT_FAILED, .stage = STAGE_RCPT, .code = 550};

  strcpy(o.status, "5.1.1");
  strcpy(o.host, "mx.example.com[192.0.2.1]");
  strcpy(o.reply, "550 5.1.1 no such user: here, or there");
  return o;
}

static int take_intake_request(const char *data, size_t len)
{
  struct intake_request q;
  return intake_get_request(data, len, &q);
}

static int take_intake_answer(const char *data, size_t len)
{
  struct intake_answer a;
  return intake_get_answer(data, len, &a);
}

static int take_message(const char *data, size_t len)
{
  struct netstring_reader r;
  struct dispatch_message m;
  struct dispatch_rcpt rcpt;
  uint32_t here;
  char verb;

  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &verb) || dispatch_get_message(&r, &m, &here))
    return -1;
  while (here--)
    if (dispatch_get_rcpt(&r, &rcpt))
      return -1;
  return netstring_end(&r);
}

static int take_result(const char *data, size_t len)
{
  struct netstring_reader r;
  struct dispatch_result result;

  netstring_open(&r, data, len);
  return dispatch_get_result(&r, &result) ? -1 : netstring_end(&r);
}

static int take_open(const char *data, size_t len)
{
  struct netstring_reader r;
  struct work_open o;
  char verb;

  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &verb) || work_get_open(&r, &o))
    return -1;
  return netstring_end(&r);
}

static int take_job(const char *data, size_t len)
{
  struct netstring_reader r;
  struct work_job j;
  char verb;

  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &verb) || work_get_job(&r, &j))
    return -1;
  return netstring_end(&r);
}

static int take_end(const char *data, size_t len)
{
  struct netstring_reader r;
  struct work_end e;
  char verb;

  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &verb) || work_get_end(&r, &e))
    return -1;
  return netstring_end(&r);
}

static int take_question(const char *data, size_t len)
{
  uint64_t token;
  char kind, name[256];

  return resolve_get_question(data, len, &kind, &token, name);
}

static int take_route(const char *data, size_t len)
{
  struct resolve_answer a;
  return resolve_get_answer(data, len, &a);
}

static int take_bounce_job(const char *data, size_t len)
{
  struct netstring_reader r;
  struct bounce_job j;
  struct bounce_rcpt rcpt;

  netstring_open(&r, data, len);
  if (bounce_get_job(&r, &j) || bounce_get_rcpt(&r, &rcpt))
    return -1;
  return netstring_end(&r);
}

static int take_bounce_answer(const char *data, size_t len)
{
  struct bounce_answer a;
  return bounce_get_answer(data, len, &a);
}

static int take_ctl(const char *data, size_t len)
{
  struct ctl_request q;
  return ctl_get_request(data, len, &q);
}

/* Whole it is taken; cut anywhere, or with a byte more, it is not; scrambled, nothing breaks. */
static void check_datagram(const char *name, const struct buf *b, int (*take)(const char *, size_t))
{
  char *copy = malloc(b->len + 1);
  unsigned seed = 1;

  if (take(b->data, b->len) != 0)
    fprintf(stderr, "in %s:\n", name);
  CHECK_INT(take(b->data, b->len), 0);
  for (size_t len = 0; len < b->len; len++) {
    char *cut = malloc(len ? len : 1); /* of its exact size, so that ASan sees a read behind it */

    memcpy(cut, b->data, len);
    CHECK(take(cut, len) != 0);
    free(cut);
  }
  memcpy(copy, b->data, b->len);
  copy[b->len] = ',';
  CHECK(take(copy, b->len + 1) != 0);
  for (int round = 0; round < 20000; round++) {
    memcpy(copy, b->data, b->len);
    for (int n = 1 + round % 3; n > 0; n--)
      copy[rand_r(&seed) % b->len] = (char)rand_r(&seed);
    take(copy, b->len);
  }
  free(copy);
}

static void check_intake(void)
{
  struct buf b = BUF_INIT(65536);
  struct intake_answer a = {.verb = 'V', .code = 250, .text = "2.0.0 id queued"};
  struct intake_request q;

  intake_put_hello(&b, "msa1", "192.0.2.1");
  check_datagram("hello", &b, take_intake_request);
  buf_reset(&b);
  intake_put_submit(&b, 100, 5000, "big01", ENVELOPE_THROUGH_ONLY | 120);
  check_datagram("submit", &b, take_intake_request);
  CHECK_INT(intake_get_request(b.data, b.len, &q), 0);
  CHECK_INT(q.envelope_len, 100);
  CHECK_INT(q.content_len, 5000);
  CHECK_STR(q.name, "big01");
  CHECK_INT(q.through, ENVELOPE_THROUGH_ONLY | 120);
  buf_reset(&b);
  intake_put_memory(&b, 3 << 20);
  check_datagram("memory", &b, take_intake_request);
  CHECK_INT(intake_get_request(b.data, b.len, &q), 0);
  CHECK_INT(q.content_len, 3 << 20);
  buf_reset(&b);
  intake_put_submit(&b, 1, 1, "../../etc/passwd", 0);
  CHECK(take_intake_request(b.data, b.len) != 0);
  buf_reset(&b);
  intake_put_answer(&b, &a);
  check_datagram("verdict", &b, take_intake_answer);
  buf_reset(&b);
  a.code = 0;
  intake_put_answer(&b, &a);
  CHECK(take_intake_answer(b.data, b.len) != 0);
  CHECK(take_intake_answer("1:\0,3:250,0:,", 13) != 0);
  buf_free(&b);
}

static void check_dispatch(void)
{
  struct buf b = BUF_INIT(65536);
  struct dispatch_message m = {.serial = UINT64_MAX, .id = "0123456789ABCDEF", .sender = "a@b",
                               .tenant = "msa1", .priority = 50, .arrival = 1, .rcpts_total = 2,
                               .through = 30, .last = true, .content_len = 5};
  struct dispatch_rcpt rcpt = {.rcpt = 3, .address = "c@d", .state = RCPT_PENDING, .next = 9};
  struct dispatch_result result = {.outcome = sample_outcome(), .attempts = 2, .dsn_due = true};

  dispatch_put_message(&b, &m, 2);
  dispatch_put_rcpt(&b, &rcpt);
  rcpt.state = RCPT_FAILED_DUE;
  dispatch_put_rcpt(&b, &rcpt);
  check_datagram("message", &b, take_message);
  buf_reset(&b);
  dispatch_put_result(&b, &result);
  check_datagram("result", &b, take_result);
  buf_free(&b);
}

static void check_work(void)
{
  struct buf b = BUF_INIT(65536);
  struct work_open o = {.helo = "relay.test", .host_count = 2, .timeouts = {.connect = 30, .idle = 5}};
  struct work_job j = {.token = 5, .id = "0123456789ABCDEF", .rcpts = {0, 4}, .rcpt_count = 2};
  struct work_end e = {.token = 5, .keep = true, .ms_mail = -1, .ms_rcpt = 0, .ms_dot = 12};
  struct work_end got;
  struct netstring_reader r;
  char verb;

  ip_parse("192.0.2.1", 9, &o.hosts[0].ip);
  ip_parse("2001:db8::1", 11, &o.hosts[1].ip);
  strcpy(o.hosts[0].name, "mx.example.com");
  o.hosts[0].port = o.hosts[1].port = 25;
  work_put_open(&b, &o);
  check_datagram("open", &b, take_open);
  buf_reset(&b);
  work_put_job(&b, &j);
  check_datagram("job", &b, take_job);
  buf_reset(&b);
  work_put_end(&b, &e);
  check_datagram("end", &b, take_end);
  netstring_open(&r, b.data, b.len);
  CHECK(!netstring_get_char(&r, &verb) && !work_get_end(&r, &got));
  CHECK_INT(got.ms_mail, -1);
  CHECK_INT(got.ms_rcpt, 0);
  CHECK_INT(got.ms_dot, 12);
  buf_free(&b);
}

static void check_resolve(void)
{
  struct buf b = BUF_INIT(65536);
  struct resolve_answer a = {.token = 1, .status = RESOLVE_OK, .ttl = 60, .host_count = 1,
                             .address_count = 1};

  resolve_put_question(&b, 'm', 1, "example.com");
  check_datagram("question", &b, take_question);
  buf_reset(&b);
  a.hosts[0].preference = 10;
  strcpy(a.hosts[0].name, "mx.example.com");
  ip_parse("192.0.2.1", 9, &a.addresses[0].ip);
  resolve_put_answer(&b, &a);
  check_datagram("route", &b, take_route);
  buf_reset(&b);
  a.addresses[0].host = 1; /* there is only host 0 */
  resolve_put_answer(&b, &a);
  CHECK(take_route(b.data, b.len) != 0);
  buf_reset(&b);
  a.address_count = 0; /* an answer that is good but leads nowhere */
  resolve_put_answer(&b, &a);
  CHECK(take_route(b.data, b.len) != 0);
  buf_free(&b);
}

static void check_bounce(void)
{
  struct buf b = BUF_INIT(65536);
  struct bounce_job j = {.kind = 'f', .serial = 1, .rcpt_count = 1};
  struct bounce_rcpt rcpt = {.outcome = sample_outcome(), .attempts = 1, .when = 5};
  struct bounce_answer a = {.serial = 1, .ok = 2, .text = "nobody to tell"};

  bounce_put_job(&b, &j);
  bounce_put_rcpt(&b, &rcpt);
  check_datagram("bounce job", &b, take_bounce_job);
  buf_reset(&b);
  bounce_put_answer(&b, &a);
  check_datagram("bounce answer", &b, take_bounce_answer);
  buf_free(&b);
}

static void check_status_scan(void)
{
  CHECK_INT(status_scan("5.1.1 no", 8, 550), 5);
  CHECK_INT(status_scan("5.1.1", 5, 550), 5);
  CHECK_INT(status_scan("5.7.509 x", 9, 550), 7);
  CHECK_INT(status_scan("4.1.1 no", 8, 550), 0);
  CHECK_INT(status_scan("5.1.1x", 6, 550), 0);
  CHECK_INT(status_scan("5.1.", 4, 550), 0);
  CHECK_INT(status_scan("5.1234.1", 8, 550), 0);
  CHECK_INT(status_scan("5..1 ", 5, 550), 0);
}

int main(void)
{
  struct buf b = BUF_INIT(65536);
  struct ctl_request q = {.verb = "list", .kind = "tenant", .value = "msa1", .limit = 5};

  check_intake();
  check_dispatch();
  check_work();
  check_resolve();
  check_bounce();
  check_status_scan();
  ctl_put_request(&b, &q);
  check_datagram("ctl", &b, take_ctl);
  buf_free(&b);
  return check_done("channels");
}
