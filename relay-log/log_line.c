#include "log_line.h"

#include "scan.h"
#include "tai64n.h"

#include <string.h>

#define PID_DIGITS_MAX 7 /* Linux: 4194304 */

/* A pid that ends at a blank or the end; 0 if there is none. *used counts its digits. */
static uint32_t pid_at(const char *s, size_t len, size_t *used)
{
  size_t n = scan_digits(s, len);
  uint64_t pid;

  if (n == 0 || n > PID_DIGITS_MAX || (n < len && s[n] != ' ') ||
      scan_u64(s, n, UINT32_MAX, &pid) == -1) {
    return 0;
  }
  *used = n;
  return (uint32_t)pid;
}

/* "tcpserver: end 123 status 0" */
static void parse_tcpserver(struct log_line *line)
{
  static const char *const words[] = {"pid ", "ok ", "deny ", "end "};
  struct log_text t = line->text;
  size_t used;

  if (!log_text_begins(t, "tcpserver: ")) {
    return;
  }
  t.s += strlen("tcpserver: ");
  t.len -= strlen("tcpserver: ");
  for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
    if (log_text_begins(t, words[i])) {
      size_t n = strlen(words[i]);
      line->pid = pid_at(t.s + n, t.len - n, &used);
      line->direction = line->pid ? 't' : 0;
      return;
    }
  }
}

bool log_line_parse(const char *s, size_t len, struct log_line *line)
{
  size_t used;

  if (!tai64n_parse(s, len, &line->at)) {
    return false;
  }
  s += TAI64N_LENGTH;
  len -= TAI64N_LENGTH;
  if (len > 0 && *s == ' ') {
    s++;
    len--;
  }
  line->direction = 0;
  line->text = (struct log_text){s, len};
  line->pid = pid_at(s, len, &used);
  if (!line->pid) {
    parse_tcpserver(line);
    return true;
  }
  s += used;
  len -= used;
  if (len >= 2 && (s[1] == '<' || s[1] == '>' || s[1] == '=') && (len == 2 || s[2] == ' ')) {
    size_t head = len == 2 ? 2 : 3;
    line->direction = s[1];
    line->text = (struct log_text){s + head, len - head};
  } else {
    line->pid = 0;
  }
  return true;
}

/* The length of a value that begins with '"': up to the last quote that can be its end. */
static size_t quoted_length(const char *s, size_t len)
{
  for (size_t i = len; i > 1; i--) {
    if (s[i - 1] == '"' && (i == len || s[i] == ' ')) {
      return i;
    }
  }
  return len;
}

/* The length of a value that begins with '<': RFC 5321 4.1.2, a local part may be quoted. */
static size_t bracket_length(const char *s, size_t len)
{
  bool quoted = false;

  for (size_t i = 1; i < len; i++) {
    if (quoted && s[i] == '\\') {
      i++;
    } else if (s[i] == '"') {
      quoted = !quoted;
    } else if (s[i] == '>' && !quoted) {
      return i + 1;
    }
  }
  return len;
}

static size_t bare_length(const char *s, size_t len)
{
  const char *end = memchr(s, ' ', len);

  return end ? (size_t)(end - s) : len;
}

/* The value at s, taken out of its brackets; returns how many bytes it takes with them. */
static size_t take_value(const char *s, size_t len, struct log_text *value)
{
  size_t n;

  if (len == 0 || (*s != '"' && *s != '<')) {
    n = len == 0 ? 0 : bare_length(s, len);
    *value = (struct log_text){s, n};
    return n;
  }
  n = *s == '"' ? quoted_length(s, len) : bracket_length(s, len);
  bool closed = n > 1 && s[n - 1] == (*s == '"' ? '"' : '>'); /* not if the line was cut */
  *value = (struct log_text){s + 1, n - 1 - (size_t)closed};
  return n;
}

static bool is_key(struct log_text key)
{
  for (size_t i = 0; i < key.len; i++) {
    char c = key.s[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_') {
      return false;
    }
  }
  return key.len > 0;
}

void log_facts_parse(struct log_text text, struct log_facts *facts)
{
  const char *s = text.s, *end = text.s + text.len;
  size_t n;

  facts->count = 0;
  n = text.len ? bare_length(s, text.len) : 0;
  facts->word = (struct log_text){s, n};
  s += n;
  while (s < end && facts->count < LOG_FACTS_MAX) {
    if (*s == ' ') {
      s++;
      continue;
    }
    size_t word = bare_length(s, (size_t)(end - s));
    const char *equals = memchr(s, '=', word);
    struct log_text key = {s, equals ? (size_t)(equals - s) : 0};
    if (!equals || !is_key(key)) {
      s += word;
      continue;
    }
    s = equals + 1;
    facts->fact[facts->count].key = key;
    s += take_value(s, (size_t)(end - s), &facts->fact[facts->count].value);
    facts->count++;
  }
}

bool log_line_is_fact(const struct log_line *line, const char *word)
{
  size_t len = strlen(word);

  return line->direction == '=' && line->text.len >= len && memcmp(line->text.s, word, len) == 0 &&
         (line->text.len == len || line->text.s[len] == ' ');
}

struct log_text log_facts_get(const struct log_facts *facts, const char *key)
{
  for (unsigned i = 0; i < facts->count; i++) {
    if (log_text_is(facts->fact[i].key, key)) {
      return facts->fact[i].value;
    }
  }
  return (struct log_text){NULL, 0};
}

int64_t log_facts_number(const struct log_facts *facts, const char *key, int64_t otherwise)
{
  struct log_text v = log_facts_get(facts, key);
  uint64_t value;

  if (!v.s || scan_u64(v.s, v.len, INT64_MAX, &value) == -1) {
    return otherwise;
  }
  return (int64_t)value;
}

bool log_text_is(struct log_text text, const char *s)
{
  size_t len = strlen(s);

  return text.len == len && memcmp(text.s, s, len) == 0;
}

bool log_text_equal(struct log_text a, struct log_text b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

bool log_text_begins(struct log_text text, const char *prefix)
{
  return text.len > 0 && scan_case_prefix(text.s, text.len, prefix);
}

bool log_text_address(struct log_text text, const char *verb, struct log_text *address)
{
  size_t word = strcspn(verb, " "), n = 0;
  const char *colon = verb + word + 1; /* "FROM:" */
  char first[8];

  memcpy(first, verb, word);
  first[word] = '\0';
  if (!log_text_begins(text, first)) {
    return false;
  }
  n = word;
  while (n < text.len && text.s[n] == ' ') {
    n++;
  }
  if (n == word || !log_text_begins((struct log_text){text.s + n, text.len - n}, colon)) {
    return false;
  }
  n += strlen(colon);
  while (n < text.len && text.s[n] == ' ') {
    n++;
  }
  if (n == text.len || text.s[n] == '<') {
    take_value(text.s + n, text.len - n, address);
  } else {
    *address = (struct log_text){text.s + n, bare_length(text.s + n, text.len - n)};
  }
  return true;
}

unsigned log_text_reply(struct log_text text, bool *last)
{
  if (text.len < 3 || scan_digits(text.s, 3) != 3 ||
      (text.len > 3 && text.s[3] != ' ' && text.s[3] != '-')) {
    return 0;
  }
  *last = text.len == 3 || text.s[3] == ' ';
  return (unsigned)((text.s[0] - '0') * 100 + (text.s[1] - '0') * 10 + (text.s[2] - '0'));
}
