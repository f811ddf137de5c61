/* relay-bounce's control files. */
#include "dsn.h"

#include "scan.h"

#include <stdio.h>
#include <string.h>

#define ORIGINAL_MAX_DEFAULT 50000
#define LIFETIME_DEFAULT 432000 /* seconds; as relay-send's */
#define LIFETIME_MAX 31536000
#define TEXT_LINE_MAX 300 /* bytes; no folding is done to it */

static bool broken(enum control_result r)
{
  return r == CONTROL_MALFORMED || r == CONTROL_UNREADABLE;
}

static enum control_result read_from(struct dsn_config *c)
{
  char local[ADDRESS_LOCAL_MAX + 1] = "MAILER-DAEMON", host[ADDRESS_DOMAIN_MAX + 1];
  char whole[ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];

  snprintf(host, sizeof host, "%s", c->me);
  if (broken(control_line("bouncefrom", local, sizeof local)) ||
      broken(control_line("bouncehost", host, sizeof host))) {
    return CONTROL_MALFORMED;
  }
  if (!address_domain_valid(host, strlen(host), false)) {
    return control_fail("bouncehost", 1, "not a domain: %s", host);
  }
  snprintf(whole, sizeof whole, "%s@%s", local, host);
  if (address_parse(whole, strlen(whole), false, c->from) != ADDRESS_OK) {
    return control_fail("bouncefrom", 1, "not the local part of an address: %s", local);
  }
  return CONTROL_OK;
}

static enum control_result read_double(struct dsn_config *c)
{
  char line[ADDRESS_SIZE];

  c->double_to[0] = '\0';
  enum control_result r = control_line("doublebounceto", line, sizeof line);
  if (r != CONTROL_OK) {
    return r;
  }
  if (address_parse(line, strlen(line), false, c->double_to) != ADDRESS_OK ||
      !address_domain(c->double_to)) {
    return control_fail("doublebounceto", 1, "not an address with a domain: %s", line);
  }
  return CONTROL_OK;
}

static enum control_result read_text(struct dsn_config *c)
{
  struct control_list list;
  enum control_result r = control_list("bouncetext", &list);

  if (r != CONTROL_OK) {
    return r;
  }
  c->text = list; /* kept as long as the program runs */
  if (list.count > DSN_TEXT_LINES_MAX) {
    return control_fail("bouncetext", list.number[DSN_TEXT_LINES_MAX], "more than %d lines",
                        DSN_TEXT_LINES_MAX);
  }
  for (size_t i = 0; i < list.count; i++) {
    size_t len = strlen(list.lines[i]);
    if (len > TEXT_LINE_MAX || !scan_utf8_valid(list.lines[i], len)) {
      return control_fail("bouncetext", list.number[i], "not UTF-8 text of at most %d bytes",
                          TEXT_LINE_MAX);
    }
  }
  return CONTROL_OK;
}

int dsn_config_read(struct dsn_config *c)
{
  *c = (struct dsn_config){.original_max = ORIGINAL_MAX_DEFAULT, .lifetime = LIFETIME_DEFAULT};
  if (broken(control_me(c->me, sizeof c->me)) || broken(read_from(c)) || broken(read_double(c)) ||
      broken(control_u64("bouncemaxbytes", 0, DSN_ORIGINAL_MAX, &c->original_max)) ||
      broken(control_u64("lifetime", 1, LIFETIME_MAX, &c->lifetime)) || broken(read_text(c))) {
    return -1;
  }
  return 0;
}
