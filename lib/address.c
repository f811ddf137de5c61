/*
 * Mail addresses, strictly by the grammar but for one thing: dots may stand
 * anywhere in an unquoted local part. Japanese carriers gave out such addresses
 * ("a..b@docomo.ne.jp", "abc.@ezweb.ne.jp") and want them back unquoted.
 *
 * Everything is parsed as if UTF-8 were allowed; what then is found is refused
 * at the end if it was not. Nothing that comes out of here contains a byte of
 * 0x20 or less, or 0x7f, but for spaces between quotes.
 */
#include "address.h"
#include "ip.h"
#include "scan.h"

#include <string.h>

#define ADDRESS_LABEL_MAX 63 /* RFC 1035 2.3.4 */

struct cursor {
  const char *next;
  const char *end;
};

/* Counts all that is put, keeps what fits into max bytes. */
struct part {
  char *data;
  size_t len;
  size_t max;
};

static void put(struct part *part, char c)
{
  if (part->len < part->max) {
    part->data[part->len] = c;
  }
  part->len++;
}

static bool at(const struct cursor *in, char c)
{
  return in->next < in->end && *in->next == c;
}

static bool is_letter_or_digit(unsigned char c)
{
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* RFC 5322 3.2.3, RFC 6531 3.3; whether it is UTF-8 is asked of the whole part later. */
static bool is_atext(unsigned char c)
{
  return c >= 0x80 || is_letter_or_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* One or more labels of letters, digits, inner hyphens and UTF-8, without a final dot. */
static bool domain_name_valid(const char *s, size_t len)
{
  size_t label = 0;
  char previous = '.';

  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '.') {
      if (previous == '.' || previous == '-') {
        return false;
      }
      label = 0;
    } else if (c == '-' ? previous == '.' : c < 0x80 && !is_letter_or_digit(c)) {
      return false;
    } else if ((c & 0xc0) != 0x80 && ++label > ADDRESS_LABEL_MAX) {
      /* Counted in characters: a U-label's octets say nothing of its A-label's. */
      return false;
    }
    previous = s[i];
  }
  return len > 0 && previous != '.' && previous != '-' && scan_utf8_valid(s, len);
}

/*
 * RFC 5321 4.1.3: tag ":" 1*dcontent. No tag was ever registered but IPv6. "@",
 * quotes and angle brackets are left out: others look for them in addresses.
 */
static bool general_literal_valid(const char *s, size_t len)
{
  const char *colon = memchr(s, ':', len);
  struct ip ip;

  if (!colon || colon == s || colon[-1] == '-' || colon + 1 == s + len) {
    return false;
  }
  for (const char *p = s; p < s + len; p++) {
    unsigned char c = (unsigned char)*p;
    bool good = p < colon ? is_letter_or_digit(c) || c == '-'
                          : c > 0x20 && c < 0x7f && !strchr("@\"<>[\\]", c);
    if (!good) {
      return false;
    }
  }
  /* An IPv6 address with no tag has the form of a tag and content, but is a mistake. */
  return !scan_case_prefix(s, len, "IPv6:") && ip_parse(s, len, &ip) < 0;
}

static bool literal_valid(const char *s, size_t len)
{
  struct ip ip;

  if (len < 2 || s[0] != '[' || s[len - 1] != ']') {
    return false;
  }
  return ip_parse_literal(s, len, &ip) == 0 || general_literal_valid(s + 1, len - 2);
}

bool address_domain_valid(const char *s, size_t len, bool utf8_allowed)
{
  if (len == 0 || len > ADDRESS_DOMAIN_MAX || (!utf8_allowed && !scan_ascii_only(s, len))) {
    return false;
  }
  return s[0] == '[' ? literal_valid(s, len) : domain_name_valid(s, len);
}

bool address_xtext_valid(const char *s, size_t len)
{
  static const char hex[] = "0123456789ABCDEF"; /* upper case only: RFC 3461 4 */

  for (size_t i = 0; i < len; i++) {
    if (s[i] == '+') {
      if (len - i < 3 || !memchr(hex, s[i + 1], 16) || !memchr(hex, s[i + 2], 16)) {
        return false;
      }
      i += 2;
    } else if (s[i] < '!' || s[i] > '~' || s[i] == '=') {
      return false;
    }
  }
  return true;
}

const char *address_domain(const char *address)
{
  const char *at_sign = strrchr(address, '@');
  size_t len = strlen(address);

  /* "a@b" in quotes has none. Nothing behind the last "@" ever has a quote. */
  if (!at_sign || address[len - 1] == '"') {
    return NULL;
  }
  return at_sign + 1;
}

/* True if the content of a quoted string says the same without the quotes. */
static bool is_dot_string(const char *s, size_t len)
{
  char previous = '.';

  for (size_t i = 0; i < len; i++) {
    if (s[i] == '.' ? previous == '.' : !is_atext((unsigned char)s[i])) {
      return false;
    }
    previous = s[i];
  }
  return previous != '.';
}

/* RFC 5321 4.1.2 Quoted-string, RFC 6531 3.3; in->next is at the opening quote. */
static bool parse_quoted(struct cursor *in, struct part *out)
{
  const char *begin = in->next++;

  put(out, '"');
  for (;; in->next++) {
    if (in->next == in->end) {
      return false;
    }
    if (*in->next == '"') {
      break;
    }
    /* A quoted pair is undone, and made again only where it has to be. */
    bool pair = *in->next == '\\';
    if (pair && ++in->next == in->end) {
      return false;
    }
    unsigned char c = (unsigned char)*in->next;
    if (c < 0x20 || c == 0x7f || (pair && c >= 0x80)) {
      return false;
    }
    if (c == '"' || c == '\\') {
      put(out, '\\');
    }
    put(out, (char)c);
  }
  in->next++;
  put(out, '"');

  if (out->len <= out->max && is_dot_string(out->data + 1, out->len - 2)) {
    out->len -= 2;
    memmove(out->data, out->data + 1, out->len);
  }
  return scan_utf8_valid(begin, (size_t)(in->next - begin));
}

static bool parse_local(struct cursor *in, struct part *out)
{
  const char *begin = in->next;
  bool dots_only = true;

  if (at(in, '"')) {
    return parse_quoted(in, out);
  }
  for (; in->next < in->end; in->next++) {
    if (*in->next != '.') {
      if (!is_atext((unsigned char)*in->next)) {
        break;
      }
      dots_only = false;
    }
    put(out, *in->next);
  }
  return !dots_only && scan_utf8_valid(begin, (size_t)(in->next - begin));
}

/* Takes the bytes that could belong to a domain; whether they are one is asked later. */
static size_t domain_span(const struct cursor *in)
{
  const char *p = in->next;

  if (at(in, '[')) {
    const char *close = memchr(p, ']', (size_t)(in->end - p));
    return close ? (size_t)(close + 1 - p) : 0;
  }
  while (p < in->end && (*p == '.' || *p == '-' || (unsigned char)*p >= 0x80 ||
                         is_letter_or_digit((unsigned char)*p))) {
    p++;
  }
  return (size_t)(p - in->next);
}

static enum address_result parse_domain(struct cursor *in, struct part *out)
{
  const char *begin = in->next;
  size_t len = domain_span(in);
  struct ip ip;

  in->next += len;
  if (len > 1 && begin[len - 1] == '.') {
    len--;
  }
  if (begin < in->end && *begin == '[' ? !literal_valid(begin, len)
                                       : !domain_name_valid(begin, len)) {
    return ADDRESS_SYNTAX;
  }
  for (size_t i = 0; i < len; i++) {
    put(out, begin[i]);
  }
  if (out->len > out->max) {
    return ADDRESS_TOO_LONG;
  }
  scan_lowercase(out->data, len);
  /* The tag as RFC 5321 4.1.3 spells it, one spelling for one address. */
  if (ip_parse_literal(begin, len, &ip) == 0) {
    char text[IP_TEXT_SIZE];
    const char *tag = ip.family == AF_INET6 ? "IPv6:" : "";
    ip_format(&ip, text);
    out->len = 0;
    put(out, '[');
    for (; *tag; tag++) {
      put(out, *tag);
    }
    for (const char *p = text; *p; p++) {
      put(out, *p);
    }
    put(out, ']');
  }
  return ADDRESS_OK;
}

/* Local-part [ "@" domain ], and no more than that before end or a ">". */
static enum address_result parse_mailbox(struct cursor *in, bool in_path, bool utf8_allowed,
                                         char out[ADDRESS_SIZE])
{
  const char *begin = in->next;
  struct part local = {.data = out, .max = ADDRESS_LOCAL_MAX + 2}; /* quotes may go again */
  struct part domain = {.max = ADDRESS_DOMAIN_MAX};
  enum address_result result = ADDRESS_OK;
  char scratch[ADDRESS_DOMAIN_MAX];

  if (!parse_local(in, &local)) {
    return ADDRESS_SYNTAX;
  }
  bool too_long = local.len > ADDRESS_LOCAL_MAX;
  size_t len = too_long ? 0 : local.len;
  if (at(in, '@')) {
    in->next++;
    domain.data = scratch;
    result = parse_domain(in, &domain);
    if (result == ADDRESS_OK && !too_long) {
      out[len++] = '@';
      memcpy(out + len, scratch, domain.len);
      len += domain.len;
    }
  }
  /* What is wrong about the form comes before what is wrong about the size. */
  if (result == ADDRESS_SYNTAX || (in_path ? !at(in, '>') : in->next != in->end)) {
    return ADDRESS_SYNTAX;
  }
  if (!utf8_allowed && !scan_ascii_only(begin, (size_t)(in->next - begin))) {
    return ADDRESS_NEEDS_UTF8;
  }
  out[len] = '\0';
  return too_long ? ADDRESS_TOO_LONG : result;
}

/* RFC 5321 4.1.2 A-d-l, to be accepted and ignored (RFC 5321 C). */
static bool skip_route(struct cursor *in, bool utf8_allowed)
{
  char separator = '@';

  while (at(in, separator)) {
    if (separator == ',' && (++in->next == in->end || *in->next != '@')) {
      return false;
    }
    in->next++;
    size_t len = domain_span(in);
    if (at(in, '[') || !address_domain_valid(in->next, len, utf8_allowed)) {
      return false;
    }
    in->next += len;
    separator = ',';
  }
  return separator == ',' && at(in, ':') && ++in->next < in->end;
}

enum address_result address_parse_path(const char *s, size_t len, bool utf8_allowed,
                                       bool null_allowed, char out[ADDRESS_SIZE], size_t *used)
{
  struct cursor in = {.next = s, .end = s + len};
  enum address_result result = ADDRESS_OK;

  out[0] = '\0';
  *used = 0;
  if (!at(&in, '<')) {
    return ADDRESS_SYNTAX;
  }
  in.next++;
  if (at(&in, '>')) {
    result = null_allowed ? ADDRESS_OK : ADDRESS_SYNTAX;
  } else if (at(&in, '@') && !skip_route(&in, utf8_allowed)) {
    result = ADDRESS_SYNTAX;
  } else {
    result = parse_mailbox(&in, true, utf8_allowed, out);
  }
  if (result != ADDRESS_OK) {
    out[0] = '\0';
    return result;
  }
  *used = (size_t)(in.next + 1 - s);
  return ADDRESS_OK;
}

enum address_result address_parse(const char *s, size_t len, bool utf8_allowed,
                                  char out[ADDRESS_SIZE])
{
  struct cursor in = {.next = s, .end = s + len};
  enum address_result result = parse_mailbox(&in, false, utf8_allowed, out);

  if (result != ADDRESS_OK) {
    out[0] = '\0';
  }
  return result;
}
