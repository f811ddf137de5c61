/* What the halves of relay-authd say to each other: what is filled is valid, and what the program
 * reads; anything else is not taken by the half that is root. */
#include "authd_ask.h"

#include "check.h"

static struct authd_request plain(const char *user, const char *password)
{
  struct authd_request q = {.verb = 'P', .client = "192.0.2.1"};

  snprintf(q.user, sizeof q.user, "%s", user);
  snprintf(q.password, sizeof q.password, "%s", password);
  return q;
}

static void check_input(const struct authd_ask *ask, const char *input, size_t len)
{
  CHECK_INT(ask->len, len);
  CHECK(memcmp(ask->input, input, len) == 0);
  CHECK(authd_ask_valid(ask, sizeof *ask));
}

static void test_fill(void)
{
  struct authd_request q = plain("ann", "p w");
  struct authd_ask ask;
  char text[IP_TEXT_SIZE];

  CHECK(authd_ask_fill(&ask, &q, false));
  check_input(&ask, "ann\0p w\0", 9);
  ip_format(&ask.client, text);
  CHECK_STR(text, "192.0.2.1");
  strcpy(q.client, "unknown");
  CHECK(authd_ask_fill(&ask, &q, true));
  check_input(&ask, "ann\0p w\0", 9);
  CHECK_INT(ask.client.family, 0);
  q.verb = 'C';
  strcpy(q.challenge, "<c>");
  strcpy(q.response, "ff");
  CHECK(authd_ask_fill(&ask, &q, false));
  check_input(&ask, "ann\0<c>\0ff", 11);
  CHECK(authd_ask_fill(&ask, &q, true));
  check_input(&ask, "ann\0ff\0<c>", 11);
}

/* 64 + 255 + 190 bytes and three NULs are 512. */
static void test_room(void)
{
  struct authd_request q = {.verb = 'C'};
  struct authd_ask ask;

  memset(q.user, 'u', 64);
  memset(q.challenge, 'c', 255);
  memset(q.response, 'r', 190);
  CHECK(authd_ask_fill(&ask, &q, false));
  CHECK(authd_ask_valid(&ask, sizeof ask));
  CHECK_INT(ask.len, AUTHD_INPUT_MAX);
  q.response[190] = 'r';
  CHECK(!authd_ask_fill(&ask, &q, false));
}

static bool taken(const char *input, size_t len)
{
  struct authd_ask ask = {.number = 1, .len = (uint32_t)len};

  memcpy(ask.input, input, len < sizeof ask.input ? len : sizeof ask.input);
  return authd_ask_valid(&ask, sizeof ask);
}

static void test_valid(void)
{
  struct authd_request q = plain("ann", "p");
  struct authd_ask ask;
  char full[600];

  CHECK(taken("a\0b\0", 5));
  CHECK(!taken("a\0b\0", 4));     /* two strings */
  CHECK(!taken("a\0b\0c\0d", 8)); /* four */
  CHECK(!taken("a\0b\0c", 5));    /* no end */
  CHECK(!taken("\0b\0", 4));      /* no user */
  CHECK(!taken("a\nb\0c\0", 7));  /* a line end in the name */
  CHECK(!taken("a b\0c\0", 7));   /* a blank */
  CHECK(!taken("a\xff\0c\0", 6));
  CHECK(!taken("", 0));
  memset(full, 'x', sizeof full);
  CHECK(!taken(full, 512));
  CHECK(!taken(full, 513));
  CHECK(!taken(full, UINT32_MAX));
  memset(full, 0, sizeof full);
  CHECK(!taken(full, 512));
  memcpy(full, "ann", 3);
  CHECK(!taken(full, 512));
  CHECK(authd_ask_fill(&ask, &q, false));
  CHECK(!authd_ask_valid(&ask, sizeof ask - 1));
  CHECK(!authd_ask_valid(&ask, sizeof ask + 1));
  CHECK(!authd_ask_valid(&ask, 0));
  CHECK(!authd_ask_valid(&ask, -1));
  ask.client.family = AF_UNIX;
  CHECK(!authd_ask_valid(&ask, sizeof ask));
  ask.client.family = AF_INET6;
  CHECK(authd_ask_valid(&ask, sizeof ask));
}

int main(void)
{
  test_fill();
  test_room();
  test_valid();
  return check_done("authd_ask_test");
}
