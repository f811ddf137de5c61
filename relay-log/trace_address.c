/*
 * Which messages an address has to do with: its MAIL and RCPT lines, on either
 * side of the relay, lead forward to the line that names the message; the
 * sender is also in relay-queue's own line.
 */
#include "trace.h"

#include "hash.h"
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct finder {
  const struct trace_logs *logs;
  struct log_text address;
  struct hash seen; /* of char[ID_SIZE], malloced */
};

static const void *id_key(const void *item, size_t *len)
{
  *len = ID_LENGTH;
  return item;
}

static int add(struct finder *f, struct log_text id)
{
  char *copy;

  if (!id_valid(id.s, id.len) || hash_find(&f->seen, id.s, id.len)) {
    return 0;
  }
  copy = malloc(ID_SIZE);
  if (!copy) {
    return -1;
  }
  memcpy(copy, id.s, ID_LENGTH);
  copy[ID_LENGTH] = '\0';
  if (hash_insert(&f->seen, copy) == -1) {
    free(copy);
    return -1;
  }
  return 0;
}

static bool same(const struct finder *f, struct log_text address)
{
  return scan_case_equal(address.s, address.len, f->address.s, f->address.len);
}

/*
 * From a MAIL or RCPT of pid forward to what ends its transaction: "accept",
 * "refuse" or "deliver". A next session of the pid, or a next MAIL behind a
 * MAIL or RCPT, means that there was no message.
 */
static int follow(struct finder *f, unsigned archive, struct log_place place, uint32_t pid)
{
  const struct log_archive *a = &f->logs->archives[archive];
  char digits[16];
  size_t len = (size_t)snprintf(digits, sizeof(digits), "%u", pid);
  struct log_facts facts;
  struct log_line line;

  while (log_archive_next(a, &place)) {
    struct log_text text = log_archive_line(a, place);
    if (!log_archive_is_of(text, digits, len) || !log_line_parse(text.s, text.len, &line)) {
      continue;
    }
    if (line.direction == 't') {
      return 0;
    }
    if (line.direction != '=') {
      continue;
    }
    log_facts_parse(line.text, &facts);
    if (log_text_is(facts.word, "accept") || log_text_is(facts.word, "refuse") ||
        log_text_is(facts.word, "deliver")) {
      return add(f, log_facts_get(&facts, "id"));
    }
    if (log_text_is(facts.word, "connect") || log_text_is(facts.word, "end")) {
      return 0;
    }
  }
  return 0;
}

static int found(void *argument, unsigned archive, struct log_place place)
{
  struct finder *f = argument;
  struct log_text text = log_archive_line(&f->logs->archives[archive], place), address;
  struct log_line line;
  struct log_facts facts;

  if (!log_line_parse(text.s, text.len, &line)) {
    return 0;
  }
  if (line.direction == '=') {
    log_facts_parse(line.text, &facts);
    if ((log_text_is(facts.word, "queued") || log_text_is(facts.word, "through")) &&
        same(f, log_facts_get(&facts, "from"))) {
      return add(f, log_facts_get(&facts, "id"));
    }
    return 0;
  }
  if ((line.direction == '<' || line.direction == '>') &&
      (log_text_address(line.text, "MAIL FROM:", &address) ||
       log_text_address(line.text, "RCPT TO:", &address)) &&
      same(f, address)) {
    return follow(f, archive, place, line.pid);
  }
  return 0;
}

static int by_id(const void *a, const void *b)
{
  return strcmp(a, b); /* ids sort by age */
}

int trace_address(const struct trace_logs *logs, const char *address, char (**ids)[ID_SIZE],
                  size_t *count)
{
  struct finder f = {.logs = logs, .address = {address, strlen(address)}};
  size_t cursor = 0;
  char *id;
  int result;

  *ids = NULL;
  *count = 0;
  hash_init(&f.seen, id_key);
  result = trace_search(logs, address, true, 0, found, &f);
  if (result == 0 && f.seen.count > 0) {
    *ids = calloc(f.seen.count, ID_SIZE);
    result = *ids ? 0 : -1;
  }
  while ((id = hash_next(&f.seen, &cursor))) {
    if (*ids) {
      memcpy((*ids)[(*count)++], id, ID_SIZE);
    }
    free(id);
  }
  hash_free(&f.seen);
  if (*count > 1) {
    qsort(*ids, *count, ID_SIZE, by_id);
  }
  return result;
}
