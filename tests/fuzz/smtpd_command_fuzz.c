/* Command lines: what is taken must be fit for the envelope (which is checked again elsewhere). */
#include "command.h"

#include "scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
  if (!good) {
    abort();
  }
}

/* A reply is one line that fits, with a code and an enhanced status. */
static void check_reply(const char *reply)
{
  require(strlen(reply) < 500 && (reply[0] == '4' || reply[0] == '5') && reply[3] == ' ' &&
          reply[4] == reply[0] && reply[5] == '.');
}

static void check_mail(const struct command *c)
{
  struct command_mail m;
  const char *wrong = command_parse_mail(c->argument, c->argument_len, c->argument_len % 2, &m);
  char again[ADDRESS_SIZE];

  if (wrong) {
    check_reply(wrong);
    return;
  }
  bool utf8 = m.flags & ENVELOPE_SMTPUTF8;
  require(!*m.sender || address_parse(m.sender, strlen(m.sender), utf8, again) == ADDRESS_OK);
  require(address_xtext_valid(m.envid, strlen(m.envid)));
}

static void check_rcpt(const struct command *c, bool utf8)
{
  struct command_rcpt r;
  const char *wrong = command_parse_rcpt(c->argument, c->argument_len, utf8, &r);
  char again[ADDRESS_SIZE];

  if (wrong) {
    check_reply(wrong);
    return;
  }
  require(address_parse(r.address, strlen(r.address), utf8, again) == ADDRESS_OK);
  require(utf8 || scan_ascii_only(r.orcpt, strlen(r.orcpt)));
  require(!(r.notify & ENVELOPE_NOTIFY_NEVER) || r.notify == ENVELOPE_NOTIFY_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *line = (const char *)data;
  struct command c;
  const char *wrong = command_parse(line, size, &c);

  if (wrong) {
    check_reply(wrong);
    return 0;
  }
  require(c.argument >= line && c.argument + c.argument_len <= line + size);
  check_mail(&c);
  check_rcpt(&c, false);
  check_rcpt(&c, true);
  return 0;
}
