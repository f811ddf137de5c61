#include "scheduler.h"
#include "tls_memory.h"

#include "check.h"

static struct work_host host_at(const char *ip, int port)
{
  struct work_host host = {.name = "mx.test", .port = port};

  CHECK_INT(ip_parse(ip, strlen(ip), &host.ip), 0);
  return host;
}

static struct work_tls_result session_of(const char *text)
{
  struct work_tls_result r = {.facts = "TLSv1.2", .session_len = (uint32_t)strlen(text)};

  memcpy(r.session, text, strlen(text));
  return r;
}

/* What is recalled: "" for nothing, else the session or the reason. */
static const char *recall(uint64_t digest, const struct work_host *host, enum tls_kind kind)
{
  static struct work_tls demand;

  demand = (struct work_tls){.kind = kind};
  tls_memory_recall(digest, host, &demand);
  demand.session[demand.session_len] = 0;
  CHECK(!*demand.reason || demand.session_len == 0);
  return demand.session_len > 0 ? (const char *)demand.session : demand.reason;
}

static void test_keys(void)
{
  struct work_host a = host_at("192.0.2.1", 25), b = host_at("192.0.2.2", 25),
                   six = host_at("2001:db8::1", 25);
  struct work_host other = host_at("192.0.2.1", 2525);
  struct work_tls_result s = session_of("one"), broken = {.broken = "no TLS 1.2"},
                         nothing = {.facts = "none"};

  tls_memory_learn(1, &a, &s);
  CHECK_STR(recall(1, &a, TLS_VERIFY), "one");
  CHECK_STR(recall(2, &a, TLS_VERIFY), "");
  CHECK_STR(recall(1, &b, TLS_VERIFY), "");
  CHECK_STR(recall(1, &other, TLS_VERIFY), "");
  CHECK_STR(recall(1, &six, TLS_VERIFY), "");
  tls_memory_learn(1, &a, &nothing); /* a resumed session brings none, and takes none away */
  CHECK_STR(recall(1, &a, TLS_VERIFY), "one");
  s = session_of("two");
  tls_memory_learn(1, &a, &s);
  CHECK_STR(recall(1, &a, TLS_VERIFY), "two");

  tls_memory_learn(3, &six, &broken);
  CHECK_STR(recall(3, &six, TLS_MAY), "no TLS 1.2");
  CHECK_STR(recall(3, &six, TLS_ENCRYPT), ""); /* whoever demands TLS tries it */
  tls_memory_learn(3, &six, &s);
  CHECK_STR(recall(3, &six, TLS_MAY), "two");
}

static void test_times(void)
{
  struct work_host a = host_at("192.0.2.3", 25);
  struct work_tls_result s = session_of("one"), broken = {.broken = "broken"};

  tls_memory_learn(1, &a, &s);
  tls_memory_learn(2, &a, &broken);
  sched.now += TLS_MEMORY_BROKEN_MS - 1;
  CHECK_STR(recall(2, &a, TLS_MAY), "broken");
  sched.now++;
  CHECK_STR(recall(2, &a, TLS_MAY), "");
  sched.now += TLS_MEMORY_SESSION_MS - TLS_MEMORY_BROKEN_MS - 1;
  CHECK_STR(recall(1, &a, TLS_MAY), "one");
  sched.now++;
  CHECK_STR(recall(1, &a, TLS_MAY), "");
}

static void test_most(void)
{
  struct work_host a = host_at("192.0.2.4", 25);
  struct work_tls_result s = session_of("x");

  for (uint64_t i = 0; i <= TLS_MEMORY_MAX; i++) {
    tls_memory_learn(1000 + i, &a, &s);
  }
  CHECK_STR(recall(1000, &a, TLS_MAY), ""); /* the oldest has gone */
  CHECK_STR(recall(1001, &a, TLS_MAY), "x");
  CHECK_STR(recall(1000 + TLS_MEMORY_MAX, &a, TLS_MAY), "x");
}

int main(void)
{
  sched.now = 1000000;
  tls_memory_start();
  test_keys();
  test_times();
  test_most();
  return check_done("send_tls_memory");
}
