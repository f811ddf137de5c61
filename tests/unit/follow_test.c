/*
 * follow.c and its sessions: each dialogue is written as recordio would write
 * it, in pieces of every size, and must come out the same each time.
 */
#include "follow.h"

#include "../lib/recorded.h"
#include "check.h"

#include <stdlib.h>

/* A dialogue: lines of what one side says in one go, '<' or '>' and then the bytes. */
struct dialogue {
  const char *what, *names;
  enum follow_protocol protocol;
  const char *said[24];
  const char *expected;
};

#define BEGIN "tcpserver: pid 7 from 127.0.0.1"
#define GREETING "<tcpserver"

static const struct dialogue dialogues[] = {
#include "follow_dialogues.h"
};

static struct outlet outlet;

static const char *play(struct recorded *r, const struct dialogue *d, size_t piece)
{
  recorded_begin(r, d->protocol, &outlet, d->names, piece, 4);
  for (size_t i = 0; i < 24 && d->said[i]; i++) {
    const char *s = d->said[i];
    if (s[0] == '=') {
      recorded_line(r, s + 1);
    } else {
      recorded_bytes(r, 7, s[0], s + 1, strlen(s + 1));
    }
  }
  return recorded_end(r);
}

static void test_dialogue(const struct dialogue *d)
{
  struct recorded r;

  for (size_t piece = 1; piece <= 256; piece++) {
    const char *out = play(&r, d, piece);
    CHECK(out && strcmp(out, d->expected) == 0);
    if (!out || strcmp(out, d->expected) != 0) {
      fprintf(stderr, "%s, in pieces of %zu:\n%s--- not:\n%s", d->what, piece, out, d->expected);
      piece = 256;
    }
    buf_free(&r.out);
  }
}

/* A whole line of relay's own, and others. */
static const char *lines(struct recorded *r, const char *names, const char *const *text)
{
  recorded_begin(r, FOLLOW_SMTP, &outlet, names, 256, 4);
  for (; *text; text++) {
    recorded_line(r, *text);
  }
  return recorded_end(r);
}

static void test_own(void)
{
  static const char *const log[] = {
    "tcpserver: ok 7 x:127.0.0.1:25 :127.0.0.2::4444",
    "7 = connect client=127.0.0.2 tenant=a relay=yes",
    "7 > 220 relay ESMTP+",
    "7 < MAIL FROM:<a@b> ",
    "7 < AUTH PLAIN c2VjcmV0",
    "7 < DATA",
    "7 > 354 go",
    "7 < From: a+",
    "7 < DKIM-Signature: v=1",
    "7 < Subject: b ",
    "7 = accept id=1",
    "7 > 250 ok",
    "7 < [EOF]",
    "relay-smtpd: warning: a \x07 bell",
    "7 = end reason=quit",
    "tcpserver: end 7 status 0",
    NULL,
  };
  struct recorded r;

  CHECK_STR(lines(&r, "From,Subject", log), "tcpserver: ok 7 x:127.0.0.1:25 :127.0.0.2::4444\n"
                                            "7 = connect client=127.0.0.2 tenant=a relay=yes\n"
                                            "7 > 220 relay ESMTP+\n"
                                            "7 < MAIL FROM:<a@b> \n"
                                            "7 < AUTH PLAIN [redacted]\n"
                                            "7 < DATA\n"
                                            "7 > 354 go\n"
                                            "7 < From: a+\n"
                                            "7 < Subject: b \n"
                                            "7 = accept id=1\n"
                                            "7 > 250 ok\n"
                                            "7 < [EOF]\n"
                                            "relay-smtpd: warning: a \\x07 bell\n"
                                            "7 = end reason=quit\n"
                                            "tcpserver: end 7 status 0\n");
  buf_free(&r.out);
}

/* recordio relay-smtpd: relay's own lines say what recordio's do, until STARTTLS. */
static void test_both(void)
{
  static const char *const log[] = {
    "7 = connect client=127.0.0.2 tenant=a relay=yes",
    "7 > 220 relay\r ",
    "7 > 220 relay",
    "7 < EHLO a\r ",
    "7 < EHLO a",
    "7 > 250 relay\r ",
    "7 < STARTTLS\r ",
    "7 > 220 go\r ",
    "7 > 220 go",
    "7 < \x16\x03\x01 secret ",
    "7 < MAIL FROM:<a@b>",
    "7 = end reason=quit",
    NULL,
  };
  struct recorded r;

  CHECK_STR(lines(&r, NULL, log), "7 = connect client=127.0.0.2 tenant=a relay=yes\n"
                                  "7 > 220 relay\n"
                                  "7 < EHLO a\n"
                                  "7 > 250 relay\n"
                                  "7 < STARTTLS\n"
                                  "7 > 220 go\n"
                                  "7 = tls begin=starttls\n"
                                  "7 > 220 go\n"
                                  "7 < MAIL FROM:<a@b>\n"
                                  "7 = end reason=quit\n");
  buf_free(&r.out);
}

/* A program's unfinished line, recordio's behind it. */
static void test_glued(void)
{
  static const char *const log[] = {BEGIN, "7 > 220 x\r ", "debug > 7 < DATA\r ",
                                    "7 > 354 go\r ", "oops7 < \r ", "x7 < secret\r ", NULL};
  struct recorded r;

  CHECK_STR(lines(&r, NULL, log),
            BEGIN "\n7 > 220 x\ndebug > \n7 < DATA\n7 > 354 go\noops\nx\n");
  buf_free(&r.out);
}

/* A whole session beside a hundred others, their lines in turns. */
static void test_interleaved(void)
{
  enum { SESSIONS = 100 };
  static const char *const said[] = {"> 220 x", "< EHLO a",        "> 250 x",     "< DATA", "> 354 x",
                                     "< From: a", "< \r", "< QUIT secret",   "< .",  "> 250 ok", "< QUIT"};
  struct recorded r;
  char line[64];
  size_t count = 0;

  recorded_begin(&r, FOLLOW_SMTP, &outlet, NULL, 256, 100);
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
    for (unsigned pid = 1; pid <= SESSIONS; pid++) {
      int n = snprintf(line, sizeof line, "%u %s\r ", pid, said[i]);
      if (strcmp(said[i], "< \r") == 0) {
        n = snprintf(line, sizeof line, "%u < \r ", pid);
      }
      follow_line(&r.follow, line, (size_t)n, 0);
    }
  }
  const char *out = recorded_end(&r);
  CHECK(!strstr(out, "secret"));
  for (const char *p = out; (p = strstr(p, " < QUIT\n")); p++) {
    count++;
  }
  CHECK_INT(count, SESSIONS);
  buf_free(&r.out);
}

/* Over the limits: who was silent longest is forgotten, and nothing of it is logged. */
static void test_limits(void)
{
  struct recorded r;
  char text[200];

  recorded_begin(&r, FOLLOW_SMTP, &outlet, NULL, 256, 3);
  for (unsigned pid = 1; pid <= 4; pid++) {
    recorded_bytes(&r, pid, '>', "220 x\r\n", 7);
  }
  CHECK_INT(r.follow.tracks.count, 3);
  recorded_bytes(&r, 1, '<', "MAIL FROM:<secret>\r\n", 20);
  CHECK_INT(r.follow.tracks.forgotten, 2);
  memset(text, 'x', sizeof text);
  r.follow.tracks.memory_max = 1000;
  for (unsigned pid = 3; pid <= 4; pid++) {
    for (int i = 0; i < 10; i++) {
      recorded_bytes(&r, pid, '<', text, sizeof text);
    }
  }
  CHECK_INT(r.follow.tracks.count, 1);
  const char *out = recorded_end(&r);
  CHECK_INT(r.follow.tracks.memory, 0);
  CHECK(!strstr(out, "secret"));
  CHECK(strstr(out, "1 = unfollowed reason=begin-not-seen\n") != NULL);
  buf_free(&r.out);
}

/* A line of any length: cut when it is put out, seen whole by patterns. */
static void test_long(void)
{
  char *actions[] = {"-*", "+* < Subject: *END"};
  struct recorded r;
  char word[] = " xxxxxxxxxxxxxxx\r\n";

  recorded_begin(&r, FOLLOW_SMTP, &outlet, NULL, 256, 100);
  outlet.actions = actions;
  outlet.action_count = 2;
  recorded_bytes(&r, 7, '>', "220 x\r\n", 7);
  recorded_bytes(&r, 7, '<', "DATA\r\n", 6);
  recorded_bytes(&r, 7, '>', "354 x\r\n", 7);
  recorded_bytes(&r, 7, '<', "Subject: x\r\n", 12);
  for (int i = 0; i < 3000; i++) {
    recorded_bytes(&r, 7, '<', word, sizeof word - 1);
  }
  recorded_bytes(&r, 7, '<', " END\r\n\r\n", 8);
  const char *out = recorded_end(&r);
  CHECK_INT(strlen(out), 4096);
  CHECK_STR(out + 4096 - 13, " [cut 43935]\n");
  buf_free(&r.out);
}

int main(void)
{
  for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
    test_dialogue(&dialogues[i]);
  }
  test_own();
  test_both();
  test_glued();
  test_interleaved();
  test_limits();
  test_long();
  return check_done("follow");
}
