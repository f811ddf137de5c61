#include "command.h"

#include "check.h"

static void check_verbs(void)
{
  static const struct {
    const char *line;
    enum command_verb verb;
    const char *argument;
  } cases[] = {
    {"HELO a", COMMAND_HELO, "a"},
    {"ehlo  a b ", COMMAND_EHLO, "a b"},
    {"MAIL FROM:<>", COMMAND_MAIL, "FROM:<>"},
    {"Rcpt to:<a>", COMMAND_RCPT, "to:<a>"},
    {"DATA", COMMAND_DATA, ""},
    {"DATA ", COMMAND_DATA, ""},
    {"RSET", COMMAND_RSET, ""},
    {"NOOP x", COMMAND_NOOP, "x"},
    {"VRFY x", COMMAND_VRFY, "x"},
    {"HELP", COMMAND_HELP, ""},
    {"QUIT", COMMAND_QUIT, ""},
    {"STARTTLS", COMMAND_STARTTLS, ""},
    {"auth PLAIN x", COMMAND_AUTH, "PLAIN x"},
    {"ETRN x", COMMAND_UNOFFERED, "x"},
    {"POST / HTTP/1.1", COMMAND_FOREIGN, "/ HTTP/1.1"},
    {"", COMMAND_UNKNOWN, ""},
    {" QUIT", COMMAND_UNKNOWN, "QUIT"},
    {"QUITS", COMMAND_UNKNOWN, ""},
    {"QUI", COMMAND_UNKNOWN, ""},
  };
  struct command c;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CHECK(!command_parse(cases[i].line, strlen(cases[i].line), &c));
    CHECK_INT(c.verb, cases[i].verb);
    CHECK_INT(c.argument_len, strlen(cases[i].argument));
    CHECK(memcmp(c.argument, cases[i].argument, c.argument_len) == 0);
  }
  static const char *const bad[] = {"QUIT\r", "QUIT\t", "\x7f", "NOOP \x1b[m"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(command_parse(bad[i], strlen(bad[i]), &c));
  }
  CHECK(command_parse("NO\0P", 4, &c));
}

/* Only the code and the enhanced status are compared; "" is good. */
static void check_reply(const char *reply, const char *expected, const char *input)
{
  char head[10] = "";

  if (reply) {
    snprintf(head, sizeof head, "%.9s", reply);
  }
  if (strcmp(head, expected) != 0) {
    fprintf(stderr, "  (%s)\n", input);
  }
  CHECK_STR(head, expected);
}

static void check_mail(void)
{
  static const struct {
    const char *argument, *reply, *sender;
    uint64_t size;
    int flags, ret;
    const char *envid;
  } cases[] = {
    {"FROM:<>", "", "", 0, 0, 0, ""},
    {"from: <a@B.example>", "", "a@b.example", 0, 0, 0, ""},
    {"FROM:<@x.example:a@b.example>", "", "a@b.example", 0, 0, 0, ""},
    {"FROM:<a@b.example> SIZE=123 body=8BitMime ret=full", "", "a@b.example", 123,
     ENVELOPE_8BITMIME, ENVELOPE_RET_FULL, ""},
    {"FROM:<a@b.example> RET=HDRS ENVID=x+2By", "", "a@b.example", 0, 0, ENVELOPE_RET_HDRS,
     "x+2By"},
    {"FROM:<a@b.example> SIZE=18446744073709551616", "", "a@b.example", UINT64_MAX, 0, 0, ""},
    {"FROM:<\xc3\xbc@b.example> SMTPUTF8", "", "\xc3\xbc@b.example", 0, ENVELOPE_SMTPUTF8, 0, ""},
    {"FROM:<\xc3\xbc@b.example>", "553 5.6.7", "", 0, 0, 0, ""},
    {"FROM:<\xc3@b.example> SMTPUTF8", "501 5.1.7", "", 0, 0, 0, ""},
    {"FROM:<a@b.example", "501 5.1.7", "", 0, 0, 0, ""},
    {"FROM", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:", "501 5.1.7", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> SIZE", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> SIZE=", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> SIZE=-1", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> SIZE=123456789012345678901", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> BODY", "504 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> ENVID=", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> RET=", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> RET=FULL RET=HDRS", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> SMTPUTF8=yes", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> AUTH=<>", "", "a@b.example", 0, 0, 0, ""},
    {"FROM:<a@b.example> auth=x+3Dy@b.example", "", "a@b.example", 0, 0, 0, ""},
    {"FROM:<a@b.example> AUTH", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> AUTH=", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> AUTH=a+b", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> AUTH=<> AUTH=<>", "501 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example> =", "555 5.5.4", "", 0, 0, 0, ""},
    {"FROM:<a@b.example>x", "501 5.5.4", "", 0, 0, 0, ""},
  };
  struct command_mail m;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *reply = command_parse_mail(cases[i].argument, strlen(cases[i].argument), true, &m);
    check_reply(reply, cases[i].reply, cases[i].argument);
    if (!reply) {
      CHECK_STR(m.sender, cases[i].sender);
      CHECK(m.size == cases[i].size);
      CHECK_INT(m.flags, cases[i].flags);
      CHECK_INT(m.ret, cases[i].ret);
      CHECK_STR(m.envid, cases[i].envid);
    }
  }
  check_reply(command_parse_mail("FROM:<a@b.example> AUTH=<>", 26, false, &m), "555 5.5.4",
              "AUTH= where AUTH is not offered");
}

static void check_rcpt(void)
{
  static const struct {
    const char *argument;
    bool utf8;
    const char *reply, *address;
    int notify;
    const char *orcpt;
  } cases[] = {
    {"TO:<a@b.example>", false, "", "a@b.example", 0, ""},
    {"TO:<postmaster>", false, "", "postmaster", 0, ""},
    {"to:<\"a b\"@b.example>", false, "", "\"a b\"@b.example", 0, ""},
    {"TO:<a@b.example> NOTIFY=never", false, "", "a@b.example", ENVELOPE_NOTIFY_NEVER, ""},
    {"TO:<a@b.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;x+40y", false, "", "a@b.example",
     14, "rfc822;x+40y"},
    {"TO:<a@b.example> ORCPT=utf-8;a\\x{E9}@b", false, "", "a@b.example", 0, "utf-8;a\\x{E9}@b"},
    {"TO:<a@b.example> ORCPT=utf-8;\xc3\xa9@b", true, "", "a@b.example", 0, "utf-8;\xc3\xa9@b"},
    {"TO:<a@b.example> ORCPT=utf-8;\xc3\xa9@b", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> ORCPT=utf-8;\\x{E9", true, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> ORCPT=utf-8;\\", true, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> ORCPT=;x", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> ORCPT=rfc822;", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> ORCPT", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> NOTIFY=NEVER,SUCCESS", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> NOTIFY=SUCCESS,", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> NOTIFY=,", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> NOTIFY=DELAY NOTIFY=DELAY", false, "501 5.5.4", "", 0, ""},
    {"TO:<a@b.example> SIZE=1", false, "555 5.5.4", "", 0, ""},
    {"TO:<>", false, "501 5.1.3", "", 0, ""},
    {"TO:<\xc3\xbc@b.example>", false, "553 5.6.7", "", 0, ""},
    {"TO:<\xc3\xbc@b.example>", true, "", "\xc3\xbc@b.example", 0, ""},
    {"FROM:<a@b.example>", false, "501 5.5.4", "", 0, ""},
  };
  struct command_rcpt r;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *reply =
      command_parse_rcpt(cases[i].argument, strlen(cases[i].argument), cases[i].utf8, &r);
    check_reply(reply, cases[i].reply, cases[i].argument);
    if (!reply) {
      CHECK_STR(r.address, cases[i].address);
      CHECK_INT(r.notify, cases[i].notify);
      CHECK_STR(r.orcpt, cases[i].orcpt);
    }
  }
}

int main(void)
{
  check_verbs();
  check_mail();
  check_rcpt();
  return check_done("smtpd_command_test");
}
