/* A line of a log: what is found must lie in it, and the stamp be what was read. */
#include "log_line.h"

#include "tai64n.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
  if (!good) {
    abort();
  }
}

static bool inside(struct log_text part, struct log_text whole)
{
  return part.s >= whole.s && part.s + part.len <= whole.s + whole.len;
}

static void check_facts(struct log_text text)
{
  struct log_facts facts;

  log_facts_parse(text, &facts);
  require(facts.count <= LOG_FACTS_MAX && inside(facts.word, text));
  for (unsigned i = 0; i < facts.count; i++) {
    char key[64];
    struct log_text k = facts.fact[i].key, v = facts.fact[i].value;
    require(k.len > 0 && inside(k, text) && inside(v, text));
    if (k.len < sizeof(key)) {
      memcpy(key, k.s, k.len);
      key[k.len] = '\0';
      struct log_text first = log_facts_get(&facts, key);
      require(first.s && first.s <= v.s); /* the first of a key counts */
      require(log_facts_number(&facts, key, -1) >= -1);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct log_text whole = {(const char *)data, size}, address;
  char stamp[TAI64N_LENGTH + 1], text[TAI64N_TEXT_SIZE];
  struct log_line line;
  bool last;

  if (!log_line_parse(whole.s, whole.len, &line)) {
    return 0;
  }
  tai64n_format(line.at, stamp);
  require(memcmp(stamp, data, TAI64N_LENGTH) == 0);
  tai64n_utc(line.at, text);
  require(strlen(text) == 26);
  require(inside(line.text, whole));
  require((line.direction != 0) == (line.pid != 0));
  check_facts(line.text);
  if (log_text_address(line.text, "MAIL FROM:", &address) ||
      log_text_address(line.text, "RCPT TO:", &address)) {
    require(inside(address, line.text));
  }
  require(log_text_reply(line.text, &last) <= 999);
  return 0;
}
