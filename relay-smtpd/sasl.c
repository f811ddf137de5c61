#include "sasl.h"

#include "envelope.h"
#include "scan.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char malformed[] = "501 5.5.2 that is not what this AUTH mechanism says here";

const char sasl_refusal[] = "535 5.7.8 user name or password is wrong";

enum sasl_mechanism sasl_parse(const char *s, size_t len, const char **initial, size_t *initial_len)
{
  const char *space = memchr(s, ' ', len), *end = s + len, *p;
  size_t name_len = space ? (size_t)(space - s) : len;

  *initial = NULL;
  *initial_len = 0;
  for (p = space; p && p < end && *p == ' '; p++) {
  }
  if (p && p < end) {
    *initial = p;
    *initial_len = (size_t)(end - p);
  }
  return scan_case_equal(s, name_len, "PLAIN", 5)      ? SASL_PLAIN
         : scan_case_equal(s, name_len, "LOGIN", 5)    ? SASL_LOGIN
         : scan_case_equal(s, name_len, "CRAM-MD5", 8) ? SASL_CRAM_MD5
                                                       : SASL_UNKNOWN;
}

static int value_of(char c)
{
  const char *p = c ? strchr(alphabet, c) : NULL;

  return p ? (int)(p - alphabet) : -1;
}

/* Three bytes of four characters; the last group has one or two "=". */
static int decode_group(const char *s, bool last, unsigned char out[3])
{
  int pad = last && s[3] == '=' ? (s[2] == '=' ? 2 : 1) : 0;
  unsigned bits = 0;

  for (int i = 0; i < 4; i++) {
    int value = i < 4 - pad ? value_of(s[i]) : 0;

    if (value < 0) {
      return -1;
    }
    bits = bits << 6 | (unsigned)value;
  }
  for (int i = 0; i < 3; i++) {
    out[i] = (unsigned char)(bits >> (16 - 8 * i));
  }
  /* What the padding leaves over must be zero: one text has one encoding. */
  return (pad == 1 && out[2]) || (pad == 2 && (out[1] || out[2])) ? -1 : 3 - pad;
}

bool sasl_base64_decode(const char *s, size_t len, char *out, size_t size, size_t *out_len)
{
  unsigned char group[3];

  *out_len = 0;
  for (size_t at = 0; at < len; at += 4) {
    int n = len - at < 4 ? -1 : decode_group(s + at, len - at == 4, group);

    if (n < 0 || (size_t)n > size - *out_len) {
      return false;
    }
    memcpy(out + *out_len, group, (size_t)n);
    *out_len += (size_t)n;
  }
  return true;
}

void sasl_base64_encode(const char *s, size_t len, char *out)
{
  for (size_t at = 0; at < len; at += 3) {
    size_t n = len - at < 3 ? len - at : 3;
    unsigned bits = 0;

    for (size_t i = 0; i < 3; i++) {
      bits = bits << 8 | (i < n ? (unsigned char)s[at + i] : 0U);
    }
    for (size_t i = 0; i < 4; i++) {
      *out++ = '=';
      if (i <= n) {
        out[-1] = alphabet[bits >> (18 - 6 * i) & 63];
      }
    }
  }
  *out = '\0';
}

/*
 * The name becomes a tenant and stands in log lines: printable, no blanks, at
 * most 64 bytes. Another one cannot be a user's.
 */
static const char *take_user(const char *s, size_t len, struct authd_request *q)
{
  if (!envelope_tenant_valid(s, len)) {
    return sasl_refusal;
  }
  memcpy(q->user, s, len);
  q->user[len] = '\0';
  return NULL;
}

static const char *take_secret(const char *s, size_t len, char to[AUTHD_SECRET_SIZE])
{
  if (len == 0 || len >= AUTHD_SECRET_SIZE || memchr(s, '\0', len)) {
    return sasl_refusal; /* a NUL would end it on the checking program's fd 3 */
  }
  memcpy(to, s, len);
  to[len] = '\0';
  return NULL;
}

/* [authzid] NUL authcid NUL passwd */
const char *sasl_plain(const char *message, size_t len, struct authd_request *q)
{
  const char *end = message + len, *first = memchr(message, '\0', len), *second, *wrong;

  second = first ? memchr(first + 1, '\0', (size_t)(end - first - 1)) : NULL;
  if (!second) {
    return malformed;
  }
  wrong = take_user(first + 1, (size_t)(second - first - 1), q);
  if (wrong) {
    return wrong;
  }
  if (first > message &&
      ((size_t)(first - message) != strlen(q->user) || memcmp(message, q->user, strlen(q->user)))) {
    return "535 5.7.8 nobody may act for another user here";
  }
  q->verb = 'P';
  return take_secret(second + 1, (size_t)(end - second - 1), q->password);
}

const char *sasl_login_user(const char *message, size_t len, struct authd_request *q)
{
  return take_user(message, len, q);
}

const char *sasl_login_password(const char *message, size_t len, struct authd_request *q)
{
  q->verb = 'P';
  return take_secret(message, len, q->password);
}

/* user SP digest, 32 hexadecimal digits; a name may have no blank (take_user()). */
const char *sasl_cram_md5(const char *message, size_t len, struct authd_request *q)
{
  const char *space = memchr(message, ' ', len), *wrong;
  size_t digits = space ? (size_t)(message + len - space - 1) : 0;

  if (digits != 32) {
    return malformed;
  }
  for (size_t i = 1; i <= digits; i++) {
    if (!space[i] || !strchr("0123456789abcdef", space[i])) {
      return malformed;
    }
  }
  wrong = take_user(message, (size_t)(space - message), q);
  q->verb = 'C';
  return wrong ? wrong : take_secret(space + 1, digits, q->response);
}
