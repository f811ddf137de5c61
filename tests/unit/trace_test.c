/* relay-trace: which lines belong to a message, where pids are used again and files rotate. */
#include "trace.h"

#include "check.h"
#include "tai64n.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Minted on 2026-11-25: the first nine characters are its milliseconds. */
#define ID1 "1M8ABG8KV02GQW4V"
#define ID2 "1M8ABG8KR02GQW4W"
#define NOTICE "1M8ABG8VJ02GVA3G"

static char directory[] = "/tmp/relay-trace-test.XXXXXX";

/* The log of smtpd: pid 40 has three sessions; ID1 is in the second, with another message before it. */
static const char *const client[] = {
  "tcpserver: pid 40 from 192.0.2.1", "tcpserver: ok 40 :x:1 :y::2", "40 = connect client=192.0.2.1",
  "40 < MAIL FROM:<old@x>", "40 = end reason=quit", "tcpserver: end 40 status 0",
  "tcpserver: pid 40 from 192.0.2.2", "tcpserver: pid 41 from 192.0.2.9", "tcpserver: ok 40 :x:1 :y::2",
  "40 = connect client=192.0.2.2", "40 > 220 hello", "ROTATE", "40 < EHLO two", "41 = connect client=192.0.2.9",
  "40 < MAIL FROM:<first@x>", "40 < Subject: other", "40 = accept id=" ID2, "40 > 250 other",
  "40 < MAIL FROM:<mine@x>", "40 < RCPT TO:<you@y>", "ROTATE", "41 < MAIL FROM:<foreign@x>", "40 < Subject: mine",
  "40 = accept id=" ID1 " tenant=t", "40 > 250 mine", "40 < MAIL FROM:<third@x>", "40 > 250 third", "40 < QUIT",
  "40 > 221 bye", "40 = end reason=quit", "tcpserver: status: 1/40", "tcpserver: end 40 status 0",
  "tcpserver: pid 40 from 192.0.2.3", "40 = connect client=192.0.2.3", "40 < QUIT", NULL};

static const char *const send[] = {
  "50 = connect host=old ip=192.0.2.8 port=25", "50 > MAIL FROM:<older@x>", "50 = deliver id=" ID2 " host=old rcpts=1",
  "9 = connect site=s host=mx worker=50 ms=1", "50 = connect host=mx ip=192.0.2.7 port=25", "50 < 220 mx", "ROTATE",
  "50 > MAIL FROM:<one@x>", "50 < 250 one", "50 = deliver id=" ID2 " host=mx rcpts=1",
  "8 = queued id=" ID1 " serial=1 tenant=t pid=40 from=<mine@x>",
  "8 = result id=" ID1 " serial=1 rcpt=0 verdict=failed host=mx reply=\"550 x\"", "50 > RSET", "51 > MAIL FROM:<else@x>",
  "50 > MAIL FROM:<mine@x>", "50 > RCPT TO:<you@y>", "50 < 550 x", "50 = deliver id=" ID1 " host=mx rcpts=1",
  "50 > MAIL FROM:<later@x>", "9 = attempt id=" ID1 " site=s host=mx worker=50",
  "8 = queued id=" NOTICE " serial=2 dsn-of=" ID1 " from=<>", NULL};

/* A millisecond between two lines; "ROTATE" begins another file. */
static void write_log(const char *name, const char *const *lines, char path[100])
{
  char stamp[TAI64N_LENGTH + 1], current[220], rotated[220];

  snprintf(path, 100, "%s/%s", directory, name);
  CHECK_INT(mkdir(path, 0700), 0);
  snprintf(current, sizeof(current), "%s/current", path);
  FILE *f = fopen(current, "w");
  for (int64_t n = 0; lines[n]; n++) {
    tai64n_format((INT64_C(1795643941490) + n) * 1000000, stamp);
    if (strcmp(lines[n], "ROTATE") == 0) {
      fclose(f);
      snprintf(rotated, sizeof(rotated), "%s/%s.s", path, stamp);
      CHECK_INT(rename(current, rotated), 0);
      f = fopen(current, "w");
    } else {
      fprintf(f, "%s %s\n", stamp, lines[n]);
    }
  }
  fprintf(f, "@400000006b075a2f2ca1f4ec 40 < a line without its end");
  fclose(f);
}

/* The lines of a story, "/" between them, each cut to some characters. */
static const char *tell(const struct trace_logs *logs, const char *id, bool clients)
{
  static char out[4000];
  struct trace_story story;
  size_t len = 0;

  *out = '\0';
  CHECK_INT(trace_story(logs, id, &story), 0);
  for (size_t i = 0; i < story.count; i++) {
    const struct trace_line *t = &story.lines[i];
    if ((t->archive == 0) == clients) {
      int n = t->line.text.len < 22 ? (int)t->line.text.len : 22;
      len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s", len ? "/" : "", n, t->line.text.s);
    }
  }
  trace_story_free(&story);
  return out;
}

static void test_story(const struct trace_logs *logs)
{
  struct trace_story story;

  CHECK_STR(tell(logs, ID1, true),
            "tcpserver: pid 40 from/tcpserver: ok 40 :x:1 /connect client=192.0.2/220 hello/EHLO two/"
            "MAIL FROM:<mine@x>/RCPT TO:<you@y>/Subject: mine/accept id=1M8ABG8KV02G/250 mine/"
            "QUIT/221 bye/end reason=quit/tcpserver: end 40 stat");
  CHECK_STR(tell(logs, ID1, false),
            "connect site=s host=mx/connect host=mx ip=192/220 mx/queued id=1M8ABG8KV02G/RSET/MAIL FROM:<mine@x>/"
            "RCPT TO:<you@y>/550 x/deliver id=1M8ABG8KV02/result id=1M8ABG8KV02G/attempt id=1M8ABG8KV02");
  /* Two attempts, of two processes that had the same pid. */
  CHECK_STR(tell(logs, ID2, false),
            "connect host=old ip=19/MAIL FROM:<older@x>/deliver id=1M8ABG8KR02/connect site=s host=mx/"
            "connect host=mx ip=192/220 mx/MAIL FROM:<one@x>/250 one/deliver id=1M8ABG8KR02");
  CHECK_INT(trace_story(logs, ID1, &story), 0);
  CHECK_INT(story.notice_count, 1);
  CHECK_STR(story.notices ? story.notices[0] : "", NOTICE);
  trace_story_free(&story);
  CHECK_INT(trace_story(logs, NOTICE, &story), 0);
  CHECK_INT(story.count, 1);
  CHECK_STR(story.origin, ID1);
  trace_story_free(&story);
  CHECK_INT(trace_story(logs, "1M8ABG8KV02GQW4X", &story), 0);
  CHECK_INT(story.count, 0);
  trace_story_free(&story);
}

/* Where in the story of ID1 the line is that begins so; -1: nowhere. */
static int stands(const struct trace_story *story, const char *begin)
{
  for (size_t i = 0; i < story->count; i++) {
    if (log_text_begins(story->lines[i].line.text, begin)) {
      return (int)i;
    }
  }
  return -1;
}

/* "queued" is stamped before the client's lines here, as when multilog comes late to read these. */
static void test_order(const struct trace_logs *logs)
{
  struct trace_story story;

  CHECK_INT(trace_story(logs, ID1, &story), 0);
  CHECK_INT(stands(&story, "connect site="), 0); /* a warm connection is older than the message */
  CHECK(stands(&story, "tcpserver: pid 40") < stands(&story, "MAIL FROM:<mine@x>"));
  CHECK_INT(stands(&story, "queued"), stands(&story, "Subject: mine") + 1);
  CHECK(stands(&story, "queued") < stands(&story, "accept"));
  CHECK(stands(&story, "accept") < stands(&story, "tcpserver: end 40"));
  CHECK(stands(&story, "550 x") < stands(&story, "accept")); /* stamped before it */
  trace_story_free(&story);
}

static void test_address(const struct trace_logs *logs)
{
  static const struct {
    const char *address, *ids;
  } cases[] = {
    {"mine@x", ID1 " "}, {"MINE@X", ID1 " "},       {"you@y", ID1 " "}, {"first@x", ID2 " "},
    {"old@x", ""},       {"foreign@x", ""},         {"ine@x", ""},      {"later@x", ""},
    {"one@x", ID2 " "},  {"nobody@nowhere.x", ""},
  };
  char(*ids)[ID_SIZE], all[200];
  size_t count;

  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    CHECK_INT(trace_address(logs, cases[i].address, &ids, &count), 0);
    *all = '\0';
    for (size_t n = 0; n < count; n++) {
      strcat(strcat(all, ids[n]), " ");
    }
    CHECK_STR(all, cases[i].ids);
    free(ids);
  }
}

int main(void)
{
  static char paths[2][100];
  static struct log_archive archives[2];
  struct trace_logs logs = {.archives = archives, .count = 2};
  char command[100];

  CHECK(mkdtemp(directory) != NULL);
  write_log("smtpd", client, paths[0]);
  write_log("send", send, paths[1]);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(log_archive_open(&archives[i], paths[i]), 0);
  }
  CHECK_INT(archives[0].count, 3);
  test_story(&logs);
  test_order(&logs);
  test_address(&logs);
  log_archive_close(&archives[0]);
  log_archive_close(&archives[1]);
  snprintf(command, sizeof(command), "rm -rf %s", directory);
  CHECK_INT(system(command), 0);
  return check_done("trace");
}
