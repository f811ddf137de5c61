/*
 * Command lines, strictly but for what harmless clients do: blanks behind the
 * colon of MAIL and RCPT and at the end of a line. Addresses without angle
 * brackets are refused: where they would end is a guess.
 */
#include "command.h"

#include "scan.h"

#include <string.h>

#define AUTH_PARAMETER_MAX 500 /* RFC 4954 3 */

static const struct {
  const char *name;
  enum command_verb verb;
} verbs[] = {
  {"HELO", COMMAND_HELO},          {"EHLO", COMMAND_EHLO},      {"MAIL", COMMAND_MAIL},
  {"RCPT", COMMAND_RCPT},          {"DATA", COMMAND_DATA},      {"RSET", COMMAND_RSET},
  {"NOOP", COMMAND_NOOP},          {"VRFY", COMMAND_VRFY},      {"HELP", COMMAND_HELP},
  {"QUIT", COMMAND_QUIT},          {"EXPN", COMMAND_UNOFFERED}, {"AUTH", COMMAND_AUTH},
  {"STARTTLS", COMMAND_STARTTLS}, {"BDAT", COMMAND_UNOFFERED}, {"ETRN", COMMAND_UNOFFERED},
  {"TURN", COMMAND_UNOFFERED},     {"SEND", COMMAND_UNOFFERED}, {"SOML", COMMAND_UNOFFERED},
  {"SAML", COMMAND_UNOFFERED},     {"GET", COMMAND_FOREIGN},    {"POST", COMMAND_FOREIGN},
  {"PUT", COMMAND_FOREIGN},        {"HEAD", COMMAND_FOREIGN},   {"OPTIONS", COMMAND_FOREIGN},
  {"CONNECT", COMMAND_FOREIGN},
};

static enum command_verb find_verb(const char *s, size_t len)
{
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    if (scan_case_equal(s, len, verbs[i].name, strlen(verbs[i].name))) {
      return verbs[i].verb;
    }
  }
  return COMMAND_UNKNOWN;
}

const char *command_parse(const char *line, size_t len, struct command *c)
{
  const char *end = line + len, *p;

  *c = (struct command){.verb = COMMAND_UNKNOWN, .argument = end};
  for (p = line; p < end; p++) {
    if ((unsigned char)*p < 0x20 || *p == 0x7f) {
      return "500 5.5.2 control character in command";
    }
  }
  while (end > line && end[-1] == ' ') { /* RFC 5321 4.1.1: tolerated */
    end--;
  }
  for (p = line; p < end && *p != ' '; p++) {
  }
  c->verb = find_verb(line, (size_t)(p - line));
  while (p < end && *p == ' ') {
    p++;
  }
  c->argument = p;
  c->argument_len = (size_t)(end - p);
  return NULL;
}

/* One of "KEYWORD" or "KEYWORD=value" (RFC 5321 4.1.2); the next begins at *s. */
struct parameter {
  const char *name, *value; /* value is NULL without "=" */
  size_t name_len, value_len;
};

static bool next_parameter(const char **s, const char *end, struct parameter *p)
{
  const char *begin = *s, *stop, *equals;

  while (begin < end && *begin == ' ') {
    begin++;
  }
  if (begin == end) {
    return false;
  }
  stop = memchr(begin, ' ', (size_t)(end - begin));
  stop = stop ? stop : end;
  equals = memchr(begin, '=', (size_t)(stop - begin));
  *p = (struct parameter){.name = begin, .name_len = (size_t)((equals ? equals : stop) - begin)};
  if (equals) {
    p->value = equals + 1;
    p->value_len = (size_t)(stop - p->value);
  }
  *s = stop;
  return true;
}

static bool is_named(const struct parameter *p, const char *name)
{
  return scan_case_equal(p->name, p->name_len, name, strlen(name));
}

static bool has_value(const struct parameter *p, const char *value)
{
  return p->value && scan_case_equal(p->value, p->value_len, value, strlen(value));
}

/* Which parameters a command has had already: each may come once. */
enum {
  SEEN_SIZE = 1,
  SEEN_BODY = 2,
  SEEN_UTF8 = 4,
  SEEN_RET = 8,
  SEEN_ENVID = 16,
  SEEN_NOTIFY = 32,
  SEEN_ORCPT = 64,
  SEEN_AUTH = 128
};

static const char *once(unsigned *seen, unsigned which)
{
  bool again = *seen & which;

  *seen |= which;
  return again ? "501 5.5.4 parameter given twice" : NULL;
}

/* RFC 1870 6: up to 20 digits, which may be more than 64 bits hold. */
static const char *parse_size(const struct parameter *p, uint64_t *size)
{
  if (!p->value || p->value_len == 0 || p->value_len > 20 ||
      scan_digits(p->value, p->value_len) != p->value_len) {
    return "501 5.5.4 SIZE needs a number of bytes";
  }
  if (scan_u64(p->value, p->value_len, UINT64_MAX, size) < 0) {
    *size = UINT64_MAX;
  }
  return NULL;
}

/* RFC 3461 4.4 */
static const char *parse_envid(const struct parameter *p, char envid[ENVELOPE_ENVID_SIZE])
{
  if (!p->value || p->value_len == 0 || !address_xtext_valid(p->value, p->value_len)) {
    return "501 5.5.4 ENVID needs xtext (RFC 3461)";
  }
  if (p->value_len >= ENVELOPE_ENVID_SIZE) {
    return "501 5.5.4 ENVID is longer than 100 bytes";
  }
  memcpy(envid, p->value, p->value_len);
  envid[p->value_len] = '\0';
  return NULL;
}

static const char *parse_body(const struct parameter *p, int *flags)
{
  if (has_value(p, "8BITMIME")) {
    *flags |= ENVELOPE_8BITMIME;
    return NULL;
  }
  if (has_value(p, "7BIT")) {
    return NULL;
  }
  return "504 5.5.4 BODY may be 7BIT or 8BITMIME";
}

static const char *parse_ret(const struct parameter *p, int *ret)
{
  /* RFC 3461 4.3 */
  *ret = has_value(p, "FULL")   ? ENVELOPE_RET_FULL
         : has_value(p, "HDRS") ? ENVELOPE_RET_HDRS
                                : ENVELOPE_RET_UNSET;
  return *ret ? NULL : "501 5.5.4 RET may be FULL or HDRS";
}

/*
 * Who first submitted the message, says the client (RFC 4954 5): "<>" or an
 * address in xtext. We do not trust it to say so for others, and act as if it
 * had said "<>".
 */
static const char *parse_auth(const struct parameter *p)
{
  if (!p->value || p->value_len == 0 || p->value_len > AUTH_PARAMETER_MAX ||
      (!has_value(p, "<>") && !address_xtext_valid(p->value, p->value_len))) {
    return "501 5.5.4 AUTH needs <> or an address in xtext (RFC 4954)";
  }
  return NULL;
}

static const char *mail_parameter(const struct parameter *p, bool auth_offered,
                                  struct command_mail *m, unsigned *seen)
{
  const char *wrong;

  if (is_named(p, "SIZE")) {
    wrong = once(seen, SEEN_SIZE);
    return wrong ? wrong : parse_size(p, &m->size);
  }
  if (is_named(p, "BODY")) {
    wrong = once(seen, SEEN_BODY);
    return wrong ? wrong : parse_body(p, &m->flags);
  }
  if (is_named(p, "SMTPUTF8")) {
    m->flags |= ENVELOPE_SMTPUTF8;
    wrong = once(seen, SEEN_UTF8);
    return wrong ? wrong : p->value ? "501 5.5.4 SMTPUTF8 takes no value" : NULL;
  }
  if (is_named(p, "RET")) {
    wrong = once(seen, SEEN_RET);
    return wrong ? wrong : parse_ret(p, &m->ret);
  }
  if (is_named(p, "ENVID")) {
    wrong = once(seen, SEEN_ENVID);
    return wrong ? wrong : parse_envid(p, m->envid);
  }
  if (is_named(p, "AUTH") && auth_offered) {
    wrong = once(seen, SEEN_AUTH);
    return wrong ? wrong : parse_auth(p);
  }
  return "555 5.5.4 unknown MAIL parameter"; /* RFC 5321 4.1.1.11 */
}

/* Finds the path behind "FROM:" or "TO:"; NULL if the word is not there. */
static const char *skip_word(const char *s, size_t len, const char *word)
{
  const char *end = s + len;

  if (!scan_case_prefix(s, len, word)) {
    return NULL;
  }
  for (s += strlen(word); s < end && *s == ' '; s++) {
  }
  return s;
}

const char *command_parse_mail(const char *s, size_t len, bool auth_offered,
                               struct command_mail *m)
{
  const char *end = s + len, *path = skip_word(s, len, "FROM:"), *wrong;
  struct parameter p;
  unsigned seen = 0;
  size_t used;

  *m = (struct command_mail){.size = 0};
  if (!path) {
    return "501 5.5.4 the syntax is MAIL FROM:<address>";
  }
  /* Whether UTF-8 is allowed is known only behind the path. */
  switch (address_parse_path(path, (size_t)(end - path), true, true, m->sender, &used)) {
  case ADDRESS_OK:
    break;
  case ADDRESS_TOO_LONG:
    return "501 5.1.7 sender address too long";
  default:
    return "501 5.1.7 bad sender address syntax";
  }
  s = path + used;
  if (s < end && *s != ' ') {
    return "501 5.5.4 a blank must follow the address";
  }
  while (next_parameter(&s, end, &p)) {
    wrong = mail_parameter(&p, auth_offered, m, &seen);
    if (wrong) {
      return wrong;
    }
  }
  if (!(m->flags & ENVELOPE_SMTPUTF8) && !scan_ascii_only(path, used)) {
    return "553 5.6.7 this address needs SMTPUTF8"; /* RFC 6531 3.5 */
  }
  return NULL;
}

/* RFC 3461 4.1: NEVER alone, or a list of the others. */
static const char *parse_notify(const struct parameter *p, int *notify)
{
  static const char wrong[] = "501 5.5.4 NOTIFY may be NEVER, or any of SUCCESS,FAILURE,DELAY";
  const char *s = p->value, *end, *comma;
  size_t len;

  if (has_value(p, "NEVER")) {
    *notify = ENVELOPE_NOTIFY_NEVER;
    return NULL;
  }
  for (end = s + p->value_len; s; s = comma ? comma + 1 : NULL) {
    comma = memchr(s, ',', (size_t)(end - s));
    len = (size_t)((comma ? comma : end) - s);
    if (scan_case_equal(s, len, "SUCCESS", 7)) {
      *notify |= ENVELOPE_NOTIFY_SUCCESS;
    } else if (scan_case_equal(s, len, "FAILURE", 7)) {
      *notify |= ENVELOPE_NOTIFY_FAILURE;
    } else if (scan_case_equal(s, len, "DELAY", 5)) {
      *notify |= ENVELOPE_NOTIFY_DELAY;
    } else {
      return wrong;
    }
  }
  return *notify ? NULL : wrong;
}

/* RFC 6533 3: utf-8-addr-xtext, and utf-8-addr-unitext where SMTPUTF8 was asked for. */
static bool utf8_address_valid(const char *s, size_t len, bool utf8_allowed)
{
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '\\') { /* \x{HEX} */
      size_t digits = 0;
      if (len - i < 5 || memcmp(s + i, "\\x{", 3) != 0) {
        return false;
      }
      for (i += 3; i < len && strchr("0123456789ABCDEF", s[i]) && s[i]; i++) {
        digits++;
      }
      if (digits < 2 || digits > 6 || i == len || s[i] != '}') {
        return false;
      }
    } else if (c == '+' || c == '=' || c <= ' ' || (c >= 0x80 && !utf8_allowed)) {
      return false;
    }
  }
  return scan_utf8_valid(s, len);
}

/* RFC 3461 4.2: addr-type ";" xtext. */
static const char *parse_orcpt(const struct parameter *p, bool utf8_allowed,
                               char orcpt[ENVELOPE_ORCPT_SIZE])
{
  const char *semicolon = p->value ? memchr(p->value, ';', p->value_len) : NULL, *text;
  size_t type_len, text_len;

  if (!semicolon || semicolon == p->value || semicolon + 1 == p->value + p->value_len) {
    return "501 5.5.4 the syntax is ORCPT=type;address";
  }
  if (p->value_len >= ENVELOPE_ORCPT_SIZE) {
    return "501 5.5.4 ORCPT is longer than 500 bytes";
  }
  type_len = (size_t)(semicolon - p->value);
  text = semicolon + 1;
  text_len = p->value_len - type_len - 1;
  bool good = scan_case_equal(p->value, type_len, "utf-8", 5)
                ? utf8_address_valid(text, text_len, utf8_allowed)
                : address_xtext_valid(text, text_len);
  if (!good || !address_xtext_valid(p->value, type_len)) {
    return "501 5.5.4 ORCPT needs xtext (RFC 3461)";
  }
  memcpy(orcpt, p->value, p->value_len);
  orcpt[p->value_len] = '\0';
  return NULL;
}

static const char *rcpt_parameter(const struct parameter *p, bool utf8_allowed,
                                  struct command_rcpt *r, unsigned *seen)
{
  const char *wrong;

  if (is_named(p, "NOTIFY")) {
    wrong = once(seen, SEEN_NOTIFY);
    return wrong ? wrong : parse_notify(p, &r->notify);
  }
  if (is_named(p, "ORCPT")) {
    wrong = once(seen, SEEN_ORCPT);
    return wrong ? wrong : parse_orcpt(p, utf8_allowed, r->orcpt);
  }
  return "555 5.5.4 unknown RCPT parameter";
}

const char *command_parse_rcpt(const char *s, size_t len, bool utf8_allowed, struct command_rcpt *r)
{
  const char *end = s + len, *path = skip_word(s, len, "TO:"), *wrong;
  struct parameter p;
  unsigned seen = 0;
  size_t used;

  *r = (struct command_rcpt){.notify = 0};
  if (!path) {
    return "501 5.5.4 the syntax is RCPT TO:<address>";
  }
  switch (address_parse_path(path, (size_t)(end - path), utf8_allowed, false, r->address, &used)) {
  case ADDRESS_OK:
    break;
  case ADDRESS_TOO_LONG:
    return "501 5.1.3 recipient address too long";
  case ADDRESS_NEEDS_UTF8:
    return "553 5.6.7 this address needs SMTPUTF8"; /* RFC 6531 3.5 */
  default:
    return "501 5.1.3 bad recipient address syntax";
  }
  s = path + used;
  if (s < end && *s != ' ') {
    return "501 5.5.4 a blank must follow the address";
  }
  while (next_parameter(&s, end, &p)) {
    wrong = rcpt_parameter(&p, utf8_allowed, r, &seen);
    if (wrong) {
      return wrong;
    }
  }
  return NULL;
}
