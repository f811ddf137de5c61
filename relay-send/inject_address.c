/*
 * The address-list parser: tokens, comments and blanks left out, are put
 * together again to one address per mailbox; what a phrase says is dropped.
 */
#include "inject_address.h"

#include <stdio.h>
#include <string.h>

#define JOINED_MAX 1000 /* bytes of one address before it is checked */

enum token { TOKEN_END, TOKEN_BAD, TOKEN_WORD, TOKEN_SPECIAL };

struct parser {
  const char *s;
  size_t len, pos;
  const char *default_domain;
  inject_address_found *found;
  void *arg;
  const char *why;
  /* the token */
  size_t start;
  char special; /* ".", "@" and so on; 0 for a word */
  /* the mailbox so far */
  char joined[JOINED_MAX];
  size_t joined_len;
  size_t local_end; /* behind its last token before "@" */
  bool has_at, after_word, two_words, in_angle, closed, in_group;
};

static void forget_address(struct parser *p)
{
  p->joined_len = 0;
  p->has_at = p->after_word = p->two_words = false;
}

static void forget_mailbox(struct parser *p)
{
  forget_address(p);
  p->in_angle = p->closed = false;
}

/* Moves behind the comment that begins here; they nest (RFC 5322 3.2.2). */
static bool skip_comment(struct parser *p)
{
  unsigned depth = 0;

  for (; p->pos < p->len; p->pos++) {
    char c = p->s[p->pos];
    if (c == '\\') {
      p->pos++;
    } else if (c == '(') {
      depth++;
    } else if (c == ')' && --depth == 0) {
      p->pos++;
      return true;
    }
  }
  return false;
}

static bool skip_blanks(struct parser *p)
{
  while (p->pos < p->len) {
    char c = p->s[p->pos];
    if (c == '(') {
      if (!skip_comment(p)) {
        p->why = "a comment has no end";
        return false;
      }
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      p->pos++;
    } else {
      break;
    }
  }
  return true;
}

/* A quoted string or a domain literal. */
static enum token take_enclosed(struct parser *p, char end)
{
  for (p->pos++; p->pos < p->len; p->pos++) {
    if (p->s[p->pos] == '\\') {
      p->pos++;
    } else if (p->s[p->pos] == end) {
      p->pos++;
      return TOKEN_WORD;
    }
  }
  p->why = end == '"' ? "a quoted string has no end" : "a domain literal has no end";
  return TOKEN_BAD;
}

static enum token take_token(struct parser *p)
{
  static const char specials[] = "<>@,;:.";

  p->special = 0;
  if (!skip_blanks(p)) {
    return TOKEN_BAD;
  }
  if (p->pos >= p->len) {
    return TOKEN_END;
  }
  p->start = p->pos;
  char c = p->s[p->pos];
  if (c == '"' || c == '[') {
    return take_enclosed(p, c == '"' ? '"' : ']');
  }
  if (c && strchr(specials, c)) {
    p->special = c;
    p->pos++;
    return TOKEN_SPECIAL;
  }
  while (p->pos < p->len && (unsigned char)p->s[p->pos] > ' ' && p->s[p->pos] != 0x7f &&
         !strchr("()<>[]:;@\\,.\"", p->s[p->pos])) {
    p->pos++;
  }
  if (p->pos == p->start) {
    p->why = "a character that has no place in an address";
    return TOKEN_BAD;
  }
  return TOKEN_WORD;
}

/* The token becomes part of the address; line ends inside of quotes are folding. */
static void join(struct parser *p)
{
  for (size_t i = p->start; i < p->pos; i++) {
    char c = p->s[i];
    if (c != '\r' && c != '\n' && p->joined_len < JOINED_MAX) {
      p->joined[p->joined_len++] = c;
    }
  }
  if (p->special == '@') {
    p->has_at = true;
  } else if (!p->has_at) {
    p->local_end = p->pos;
  }
  p->two_words = p->two_words || (p->after_word && !p->special);
  p->after_word = !p->special;
}

static int malformed(struct parser *p, const char *why)
{
  p->why = why;
  return -1;
}

/* The mailbox is complete: checks it and hands it on. */
static int emit(struct parser *p)
{
  char whole[JOINED_MAX + ADDRESS_DOMAIN_MAX + 2], address[ADDRESS_SIZE];

  if (p->joined_len == 0) {
    return 0; /* an empty element of the list, or "<>" */
  }
  if (p->two_words) {
    return malformed(p, "two words without a comma between them");
  }
  int n = snprintf(whole, sizeof whole, "%.*s%s%s", (int)p->joined_len, p->joined,
                   p->has_at ? "" : "@", p->has_at ? "" : p->default_domain);
  if (n < 0 || memchr(p->joined, '\0', p->joined_len)) {
    return malformed(p, "a NUL");
  }
  if (address_parse(whole, (size_t)n, true, address) != ADDRESS_OK || !address_domain(address)) {
    return malformed(p, "not an address");
  }
  return p->found(p->arg, address, p->has_at ? 0 : p->local_end);
}

/* "," ";" or the end. */
static int end_mailbox(struct parser *p)
{
  int result = p->closed ? 0 : emit(p);

  forget_mailbox(p);
  return result;
}

static int take_special(struct parser *p)
{
  switch (p->special) {
  case '<':
    if (p->in_angle || p->closed) {
      return malformed(p, "a second \"<\"");
    }
    forget_address(p);
    p->in_angle = true;
    return 0;
  case '>':
    if (!p->in_angle) {
      return malformed(p, "a \">\" without \"<\"");
    }
    p->in_angle = false;
    p->closed = true;
    return emit(p);
  case ':': /* the end of a route (RFC 5322 4.4) or of a group's name (3.4) */
    if (p->closed || (p->in_angle ? p->joined_len == 0 || p->joined[0] != '@' : p->in_group)) {
      return malformed(p, "a \":\" in the wrong place");
    }
    p->in_group = p->in_group || !p->in_angle;
    forget_address(p);
    return 0;
  case ',':
    if (p->in_angle) { /* between the hosts of a route, which goes on */
      return p->joined_len && p->joined[0] == '@' ? 0 : malformed(p, "a \",\" inside of \"<>\"");
    }
    return end_mailbox(p);
  case ';':
    if (p->in_angle || !p->in_group) {
      return malformed(p, "a \";\" outside of a group");
    }
    p->in_group = false;
    return end_mailbox(p);
  default:
    break;
  }
  if (p->closed) {
    return malformed(p, "something behind \">\"");
  }
  join(p);
  return 0;
}

static int run(struct parser *p)
{
  for (;;) {
    int result = 0;
    switch (take_token(p)) {
    case TOKEN_END:
      return p->in_angle ? malformed(p, "a \"<\" without \">\"") : end_mailbox(p);
    case TOKEN_BAD:
      return -1;
    case TOKEN_WORD:
      if (p->closed) {
        return malformed(p, "something behind \">\"");
      }
      join(p);
      break;
    case TOKEN_SPECIAL:
      result = take_special(p);
      break;
    }
    if (result != 0) {
      return result;
    }
  }
}

int inject_address_list(const char *list, size_t len, const char *default_domain,
                        inject_address_found *found, void *arg, const char **why)
{
  struct parser p = {
    .s = list, .len = len, .default_domain = default_domain, .found = found, .arg = arg};
  int result = run(&p);

  *why = p.why ? p.why : "";
  return result;
}
