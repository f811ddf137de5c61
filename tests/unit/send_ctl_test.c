/* relay-ctl's command line and its output. */
#include "ctl_args.h"
#include "ctl_stat_print.h"
#include "ctl_table.h"

#include "check.h"

#include <stdlib.h>

static void test_args(void)
{
  static const struct {
    const char *words[6];
    const char *verb, *kind, *value; /* verb NULL: wrong */
  } lines[] = {
    {{"stat"}, "stat", "all", ""},
    {{"list"}, "list", "all", ""},
    {{"list", "tenant:acme"}, "list", "tenant", "acme"},
    {{"--json", "list", "site:mx.test:2525"}, "list", "site", "mx.test:2525"},
    {{"why", "0123456789ABCDEF"}, "why", "id", "0123456789ABCDEF"},
    {{"drop", "id:0123456789ABCDEF"}, "drop", "id", "0123456789ABCDEF"},
    {{"hold", "domain:Example.COM"}, "hold", "domain", "example.com"},
    {{"retry", "all", "--limit", "5"}, "retry", "all", ""},
    {{"drop"}, NULL, "", ""}, /* never all by omission */
    {{"bounce", ""}, NULL, "", ""},
    {{"why", "all"}, NULL, "", ""},
    {{"why"}, NULL, "", ""},
    {{"stat", "all"}, "stat", "all", ""},
    {{"--wide", "stat", "site:mx.test"}, "stat", "site", "mx.test"},
    {{"stat", "0123456789ABCDEF"}, NULL, "", ""},
    {{"stat", "--limit", "5"}, NULL, "", ""},
    {{"list", "--wide"}, NULL, "", ""},
    {{"list", "nonsense:x"}, NULL, "", ""},
    {{"list", "tenant:"}, NULL, "", ""},
    {{"list", "id:short"}, NULL, "", ""},
    {{"list", "a", "b"}, NULL, "", ""},
    {{"delete", "all"}, NULL, "", ""},
    {{"--limit"}, NULL, "", ""},
    {{"--limit", "x", "list"}, NULL, "", ""},
    {{"-x", "list"}, NULL, "", ""},
    {{NULL}, NULL, "", ""},
  };

  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    char *argv[8] = {"relay-ctl"};
    struct ctl_args args;
    int argc = 1;
    for (int w = 0; w < 6 && lines[i].words[w]; w++) {
      argv[argc++] = (char *)lines[i].words[w];
    }
    int result = ctl_args_parse(argc, argv, &args);
    CHECK_INT(result, lines[i].verb ? 0 : -1);
    if (result == -1) {
      CHECK(args.wrong[0] != '\0');
    } else if (lines[i].verb) {
      CHECK_STR(args.request.verb, lines[i].verb);
      CHECK_STR(args.request.kind, lines[i].kind);
      CHECK_STR(args.request.value, lines[i].value);
    }
  }
}

static void test_sizes(void)
{
  static const struct {
    uint64_t bytes;
    const char *text;
  } sizes[] = {{0, "0"},          {999, "999"},      {5222, "5.1K"},        {102400, "100K"},
               {1048576, "1.0M"}, {31457280, "30M"}, {1023 * 1024, "1.0M"}, {5368709120, "5.0G"}};
  static const struct {
    int64_t ms;
    const char *text;
  } spans[] = {{-5, "0s"},         {400, "0s"},      {59000, "59s"},
               {192000, "3m12s"},  {240000, "4m"},   {3600000, "1h"},
               {3660000, "1h01m"}, {86400000, "1d"}, {180000000, "2d02h"}};
  char text[CTL_PRINT_SHORT];

  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    ctl_print_size(sizes[i].bytes, text);
    CHECK_STR(text, sizes[i].text);
  }
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
    ctl_print_span(spans[i].ms, text);
    CHECK_STR(text, spans[i].text);
  }
}

static void make_row(struct ctl_row *row, const char *sender, const char *recipient,
                     const char *next)
{
  struct buf b = BUF_INIT(8192);
  const char *const words[] = {"r",       "recipient", "id",    "s0123456789ABCDEF", "tenant",
                               "sacme",   "sender",    sender,  "recipient",         recipient,
                               "site",    "smx.test",  "state", "swaiting",          "attempts",
                               "n3",      "bytes",     "n5222", "arrival_ms",        "n1000000",
                               "next_ms", next};

  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    CHECK_INT(netstring_put_str(&b, words[i]), 0);
  }
  CHECK_INT(ctl_row_parse(b.data, b.len, row), 0);
  buf_free(&b);
}

static void test_json(void)
{
  struct ctl_row row;
  char *text = NULL;
  size_t size;

  make_row(&row, "s\"q\\uote\"@a.test", "s\x1b[31m\xff\xc3\xa9@b.test", "n0");
  FILE *out = open_memstream(&text, &size);
  ctl_print_json(out, &row);
  fclose(out);
  /* An escape sequence is made of text, a quote and a backslash are JSON's. */
  CHECK_STR(text, "{\"row\":\"recipient\",\"id\":\"0123456789ABCDEF\",\"tenant\":\"acme\","
                  "\"sender\":\"\\\"q\\\\uote\\\"@a.test\","
                  "\"recipient\":\"\\\\x1b[31m\\\\xff\xc3\xa9@b.test\",\"site\":\"mx.test\","
                  "\"state\":\"waiting\",\"attempts\":3,\"bytes\":5222,\"arrival_ms\":1000000,"
                  "\"next_ms\":0}");
  free(text);
  ctl_row_free(&row);
}

static void test_table(void)
{
  struct ctl_table table;
  struct ctl_row row;
  unsigned count;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  const struct ctl_column *columns = ctl_table_columns("recipient", false, &count);

  ctl_table_begin(&table, columns, count);
  make_row(&row, "ss@a.test", "sb@b.test", "n0");
  ctl_table_row(&table, out, &row, 1192000);
  ctl_row_free(&row);
  make_row(&row, "s", "s\xc3\xa9@b.test", "n1432000");
  ctl_table_row(&table, out, &row, 1192000);
  ctl_row_free(&row);
  ctl_table_end(&table, out);
  fclose(out);
  CHECK_STR(
    text,
    "ID                STATE    NEXT   TRIES    AGE  SIZE  TENANT  SITE     SENDER    RECIPIENT\n"
    "0123456789ABCDEF  waiting  -          3  3m12s  5.1K  acme    mx.test  s@a.test  b@b.test\n"
    "0123456789ABCDEF  waiting  in 4m      3  3m12s  5.1K  acme    mx.test  <>        "
    "\xc3\xa9@b.test\n");
  free(text);
  CHECK(ctl_table_columns("why", false, &count) == NULL);
}

static char *note_of(const char *trouble)
{
  char value[1000];
  const char *const words[] = {"r",        "site",       "ceiling", "n5",      "kind",
                               "sceiling", "trouble_ms", "n1000",   "trouble", value};
  struct buf b = BUF_INIT(8192);
  struct ctl_row row;

  snprintf(value, sizeof value, "s%s", trouble);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    CHECK_INT(netstring_put_str(&b, words[i]), 0);
  }
  CHECK_INT(ctl_row_parse(b.data, b.len, &row), 0);
  char *note = ctl_stat_note(&row, 3000);
  ctl_row_free(&row);
  buf_free(&b);
  return note;
}

/* A reply is cut between words, and one that has none is quoted all the same. */
static void test_note(void)
{
  char reply[401], *note = note_of("421 too\x1b many");

  CHECK_STR(note, "takes 5 connections; ceiling, 2s ago: 421 too\\x1b many");
  free(note);
  memset(reply, 'x', 400);
  reply[400] = '\0';
  note = note_of(reply);
  CHECK_INT(strspn(note + strlen("takes 5 connections; ceiling, 2s ago: "), "x"), 300);
  CHECK(strcmp(note + strlen(note) - 5, "x ...") == 0);
  free(note);
  reply[290] = ' ';
  note = note_of(reply);
  CHECK_INT(strspn(note + strlen("takes 5 connections; ceiling, 2s ago: "), "x"), 290);
  free(note);
}

static void test_garbled(void)
{
  static const char *const datagrams[] = {
    "",        "1:r,", "1:.,2:ok,", "1:r,4:stat,1:a,", "1:r,4:stat,1:a,1:x,", "1:r,4:stat,1:a,0:,",
    "nonsense"};
  struct ctl_row row;

  for (size_t i = 0; i < sizeof datagrams / sizeof *datagrams; i++) {
    CHECK_INT(ctl_row_parse(datagrams[i], strlen(datagrams[i]), &row), -1);
    CHECK_INT(row.count, 0);
  }
}

int main(void)
{
  test_args();
  test_sizes();
  test_json();
  test_table();
  test_note();
  test_garbled();
  return check_done("send_ctl");
}
