#include "keyd_sessions.h"

#include "check.h"

static struct keyd_session make(int n)
{
  struct keyd_session s = {.version = 0x0303, .suite = 0xc02b};

  memcpy(s.id, &n, sizeof n);
  memset(s.secret, n, sizeof s.secret);
  return s;
}

static bool has(struct keyd_sessions *c, int n, int64_t now)
{
  struct keyd_session s = make(n), want = s;

  memset(s.secret, 0, sizeof s.secret);
  return keyd_sessions_load(c, &s, now) && memcmp(&s, &want, sizeof s) == 0;
}

int main(void)
{
  struct keyd_sessions c;
  struct keyd_session s, other;

  CHECK_INT(keyd_sessions_init(&c, 3), 0);
  CHECK(!has(&c, 1, 0));
  for (int n = 1; n <= 3; n++) {
    s = make(n);
    keyd_sessions_save(&c, &s, n);
  }
  CHECK(has(&c, 1, 10) && has(&c, 2, 10) && has(&c, 3, 10));
  CHECK(has(&c, 1, 11)); /* now 2 is the one that was not used for longest */
  s = make(4);
  keyd_sessions_save(&c, &s, 12);
  CHECK(!has(&c, 2, 12));
  CHECK(has(&c, 1, 12) && has(&c, 3, 12) && has(&c, 4, 12));
  /* Nobody replaces a session of somebody else's. */
  other = make(4);
  memset(other.secret, 99, sizeof other.secret);
  keyd_sessions_save(&c, &other, 13);
  CHECK(has(&c, 4, 13));
  CHECK(has(&c, 1, KEYD_SESSION_LIFETIME_MS));
  CHECK(!has(&c, 1, 1 + KEYD_SESSION_LIFETIME_MS));
  CHECK(has(&c, 4, 1 + KEYD_SESSION_LIFETIME_MS));
  for (int n = 10; n < 1000; n++) {
    s = make(n);
    keyd_sessions_save(&c, &s, n);
    CHECK(has(&c, n, n));
  }
  CHECK(has(&c, 997, 1000) && has(&c, 998, 1000) && has(&c, 999, 1000));
  CHECK(!has(&c, 996, 1000));
  keyd_sessions_free(&c);
  CHECK_INT(keyd_sessions_init(&c, 0), 0);
  keyd_sessions_save(&c, &s, 1);
  CHECK(!has(&c, 999, 1));
  keyd_sessions_free(&c);
  return check_done("keyd_sessions_test");
}
