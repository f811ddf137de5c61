/* Which line goes where. */
#include "logdb_load.h"

#include "escape.h"
#include "exits.h"
#include "report.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SITE_NS INT64_C(60000000000) /* relay-send's "connect" and the worker's are so near */

static const void *session_key(const void *item, size_t *len)
{
  *len = 2 * sizeof(uint32_t);
  return &((const struct logdb_session *)item)->directory; /* and pid behind it */
}

static const void *message_key(const void *item, size_t *len)
{
  *len = ID_LENGTH;
  return ((const struct logdb_message *)item)->id;
}

static void load_state(struct logdb_load *l)
{
  struct logdb_row row = {0};
  struct sql_value v[2];
  struct item {
    struct item *next;
    char *name, *value;
    size_t len;
  } *first = NULL, *item;

  /* All of it first: what is made of an item asks the database itself. */
  row_string(&row, l->db->source);
  logdb_query(l->db, LOGDB_STATE_GET, &row);
  while (logdb_next(l->db, LOGDB_STATE_GET, v, 2)) {
    item = malloc(sizeof(*item));
    if (!item) {
      logdb_die_memory();
    }
    *item = (struct item){first, strdup(v[0].text), malloc(v[1].len + 1), v[1].len};
    if (!item->name || !item->value) {
      logdb_die_memory();
    }
    memcpy(item->value, v[1].text, v[1].len + 1);
    first = item;
  }
  while ((item = first)) {
    first = item->next;
    (item->name[0] == 's' ? session_load : message_load)(l, item->name, item->value, item->len);
    free(item->name);
    free(item->value);
    free(item);
  }
}

void logdb_load_open(struct logdb_load *l, struct logdb *db, struct log_merge *merge)
{
  *l = (struct logdb_load){.db = db, .merge = merge};
  hash_init(&l->sessions, session_key);
  hash_init(&l->messages, message_key);
  for (unsigned i = 0; i < merge->count; i++) {
    logdb_files_load(db, &merge->follow[i]);
  }
  load_state(l);
  logdb_commit(db);
}

void logdb_id(const struct logdb_load *l, const struct log_entry *entry, char id[LOGDB_ID_SIZE])
{
  static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  static char last_file[TAI64N_LENGTH + 1];
  static unsigned last_directory = ~0U;
  static uint64_t hash; /* of source, directory and file: two lines of one moment differ */
  uint64_t part[3] = {(uint64_t)(entry->line.at / 1000000), entry->raw.offset, 0};
  static const unsigned width[3] = {10, 8, 8};

  if (last_directory != entry->directory || strcmp(last_file, entry->raw.file) != 0) {
    const char *directory = l->merge->follow[entry->directory].directory;
    hash = XXH3_64bits(l->db->source, strlen(l->db->source) + 1);
    hash = XXH3_64bits_withSeed(directory, strlen(directory) + 1, hash);
    hash = XXH3_64bits_withSeed(entry->raw.file, strlen(entry->raw.file), hash);
    snprintf(last_file, sizeof(last_file), "%s", entry->raw.file);
    last_directory = entry->directory;
  }
  part[2] = hash;
  for (int i = 2; i >= 0; i--) {
    char *end = id + (i > 0 ? 10 : 0) + (i > 1 ? 8 : 0) + width[i];
    for (unsigned n = 0; n < width[i]; n++) {
      *--end = digits[part[i] & 31];
      part[i] >>= 5;
    }
  }
  id[LOGDB_ID_SIZE - 1] = '\0';
}

/* relay-send has a connection: the site of the worker's session, which may not have begun. */
static void site_of_worker(struct logdb_load *l, const struct log_entry *entry,
                           const struct log_facts *facts)
{
  uint32_t pid = (uint32_t)log_facts_number(facts, "worker", 0);
  struct logdb_session *s = session_find(l, entry->directory, pid);

  if (s && (*s->site || entry->line.at - s->began > SITE_NS)) {
    session_end(l, s); /* of a worker before, which had the same pid */
    s = NULL;
  }
  s = s ? s : session_begin(l, entry, pid, LOGDB_NEW);
  text_copy(s->site, sizeof(s->site), log_facts_get(facts, "site"));
  s->changed = true;
  if (s->messages > 0) {
    delivery_site(l, s);
  }
}

/* True: the line is about a message or the relay, and no session's. */
static bool daemon_line(struct logdb_load *l, const struct log_entry *entry,
                        const struct log_facts *facts)
{
  if (log_text_is(facts->word, "queued") || log_text_is(facts->word, "through")) {
    message_queued(l, entry, facts);
  } else if (log_text_is(facts->word, "result")) {
    delivery_result(l, entry, facts);
  } else if (log_text_is(facts->word, "attempt")) {
    delivery_attempt(l, entry, facts);
  } else if (log_text_is(facts->word, "connect") && log_facts_get(facts, "worker").s) {
    site_of_worker(l, entry, facts);
  } else if (log_text_is(facts->word, "replay")) {
    session_end_all(l, entry->directory, LOGDB_MX);
    session_end_all(l, entry->directory, LOGDB_NEW);
  } else {
    return false;
  }
  return true;
}

/* Does a session begin here, and whose? */
static enum logdb_kind begins(const struct log_entry *entry, const struct log_facts *facts,
                              const struct logdb_session *s)
{
  const struct log_line *line = &entry->line;
  bool known = s && s->kind != LOGDB_NEW, last;

  if (line->direction == 't') {
    return log_text_begins(line->text, "tcpserver: pid") ? LOGDB_CLIENT : LOGDB_NEW;
  }
  if (line->direction == '=' && log_text_is(facts->word, "connect")) {
    if (log_facts_get(facts, "client").s) {
      return known && !s->connected ? LOGDB_NEW : LOGDB_CLIENT;
    }
    /* A worker that could not reach a host tries the next one. */
    return known && !s->connected && line->at - s->last < SITE_NS ? LOGDB_NEW : LOGDB_MX;
  }
  if (known || line->direction == '=') {
    return LOGDB_NEW;
  }
  /* The log begins in the middle of a session. Replies tell which side we are on. */
  if (log_text_reply(line->text, &last)) {
    return line->direction == '<' ? LOGDB_MX : LOGDB_CLIENT;
  }
  return line->direction == '<' ? LOGDB_CLIENT : LOGDB_MX;
}

static void session_or_daemon(struct logdb_load *l, const struct log_entry *entry)
{
  struct log_facts facts = {0};
  struct logdb_session *s;
  enum logdb_kind kind;

  if (entry->line.direction == '=') {
    log_facts_parse(entry->line.text, &facts);
    if (daemon_line(l, entry, &facts)) {
      return;
    }
  }
  s = session_find(l, entry->directory, entry->line.pid);
  kind = begins(entry, &facts, s);
  if (kind != LOGDB_NEW) {
    s = session_begin(l, entry, entry->line.pid, kind);
    s->by_tcpserver = entry->line.direction == 't';
  }
  if (s && s->kind == LOGDB_CLIENT) {
    client_line(l, s, entry, &facts);
  } else if (s && s->kind == LOGDB_MX) {
    mx_line(l, s, entry, &facts);
  }
}

void logdb_load_line(struct logdb_load *l, const struct log_entry *entry)
{
  char safe[4 * LOG_FOLLOW_LINE_MAX];
  struct log_entry clean = *entry;

  l->lines++;
  l->total++;
  if (!entry->line.direction) {
    return; /* a diagnostic, tcpserver's status, or no line of ours at all */
  }
  if (entry->line.at > l->latest) {
    l->latest = entry->line.at;
  }
  /* What relay writes is UTF-8; other writers of such lines may not care. */
  if (!scan_utf8_valid(entry->line.text.s, entry->line.text.len)) {
    escape_text(entry->line.text.s, entry->line.text.len, safe, sizeof(safe), &clean.line.text.len);
    clean.line.text.s = safe;
  }
  session_or_daemon(l, &clean);
}

void logdb_load_commit(struct logdb_load *l)
{
  session_save(l);
  message_save(l);
  for (unsigned i = 0; i < l->merge->count; i++) {
    logdb_files_save(l->db, &l->merge->follow[i]);
  }
  logdb_commit(l->db);
  l->lines = 0;
}

void logdb_load_close(struct logdb_load *l)
{
  struct logdb_session *s;
  struct logdb_message *m;
  size_t cursor = 0;

  while ((s = hash_next(&l->sessions, &cursor))) {
    session_free(s);
  }
  cursor = 0;
  while ((m = hash_next(&l->messages, &cursor))) {
    message_free(m);
  }
  hash_free(&l->sessions);
  hash_free(&l->messages);
}
