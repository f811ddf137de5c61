/* The story of one message: every line that has its id, and the sessions around these. */
#include "trace.h"

#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEFORE_NS INT64_C(5000000000) /* the clock may have been set while a message came */
/* A worker's lines come up to 50 ms after relay-queue's result, which is about them. */
#define LATE_NS INT64_C(2000000000)

struct teller {
  const struct trace_logs *logs;
  struct trace_story *story;
};

int trace_add(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
              struct log_place place, enum trace_process process)
{
  struct log_text text = log_archive_line(&logs->archives[archive], place);
  struct trace_line *line;

  if (story->count == story->cap) {
    size_t bigger = story->cap ? 2 * story->cap : 64;
    void *p = reallocarray(story->lines, bigger, sizeof(*story->lines));
    if (!p) {
      return -1;
    }
    story->lines = p;
    story->cap = bigger;
  }
  line = &story->lines[story->count];
  line->archive = archive;
  line->place = place;
  line->process = process;
  if (!log_line_parse(text.s, text.len, &line->line)) {
    return 0;
  }
  line->order = line->line.at;
  line->not_before = INT64_MIN;
  line->turn = TURN_OTHERS;
  story->count++;
  return 0;
}

static int add_notice(struct trace_story *story, struct log_text id)
{
  void *p;

  for (size_t i = 0; i < story->notice_count; i++) {
    if (log_text_is(id, story->notices[i])) {
      return 0;
    }
  }
  p = reallocarray(story->notices, story->notice_count + 1, ID_SIZE);
  if (!p) {
    return -1;
  }
  story->notices = p;
  snprintf(story->notices[story->notice_count++], ID_SIZE, "%.*s", ID_LENGTH, id.s);
  return 0;
}

static bool is_queue_word(struct log_text word)
{
  return log_text_is(word, "queued") || log_text_is(word, "through") ||
         log_text_is(word, "result") || log_text_is(word, "nonotice");
}

/* A line with the id in it. */
static int found(void *argument, unsigned archive, struct log_place place)
{
  struct teller *t = argument;
  struct log_text text = log_archive_line(&t->logs->archives[archive], place), id, origin;
  struct log_line line;
  struct log_facts facts;

  if (!log_line_parse(text.s, text.len, &line) || line.direction != '=') {
    return 0;
  }
  log_facts_parse(line.text, &facts);
  id = log_facts_get(&facts, "id");
  origin = log_facts_get(&facts, "dsn-of");
  if (origin.s && log_text_is(origin, t->story->id) && id_valid(id.s, id.len)) {
    return add_notice(t->story, id);
  }
  if (!id.s || !log_text_is(id, t->story->id)) {
    return 0;
  }
  if (origin.s && id_valid(origin.s, origin.len)) {
    snprintf(t->story->origin, ID_SIZE, "%.*s", ID_LENGTH, origin.s);
  }
  if (log_text_is(facts.word, "accept") || log_text_is(facts.word, "refuse")) {
    return trace_client(t->story, t->logs, archive, place);
  }
  if (log_text_is(facts.word, "deliver")) {
    return trace_worker(t->story, t->logs, archive, place);
  }
  return trace_add(t->story, t->logs, archive, place,
                   is_queue_word(facts.word) ? TRACE_QUEUE : TRACE_SEND);
}

static struct log_text host_of(const struct trace_line *line, const char *word)
{
  struct log_facts facts;

  if (line->line.direction != '=') {
    return (struct log_text){NULL, 0};
  }
  log_facts_parse(line->line.text, &facts);
  return log_text_is(facts.word, word) ? log_facts_get(&facts, "host") : (struct log_text){NULL, 0};
}

/* A result stands behind the session that it came from. */
static void put_results_behind(struct trace_story *story)
{
  for (size_t i = 0; i < story->count; i++) {
    struct log_text host = host_of(&story->lines[i], "deliver");
    int64_t at = story->lines[i].line.at;
    for (size_t n = 0; host.s && n < story->count; n++) {
      struct trace_line *result = &story->lines[n];
      if (result->process == TRACE_QUEUE && result->line.at < at &&
          at - result->line.at < LATE_NS && log_text_equal(host_of(result, "result"), host)) {
        result->order = at + 1;
      }
    }
  }
}

/* When the id was minted, as nanoseconds since 1970: 45 bits of milliseconds (lib/id.h). */
static int64_t minted(const char *id)
{
  static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  int64_t ms = 0;

  for (int i = 0; i < 9; i++) {
    ms = ms * 32 + (strchr(digits, id[i]) - digits);
  }
  return ms < INT64_MAX / 1000000 ? ms * 1000000 : 0;
}

static bool is_before(const struct trace_line *line, const struct trace_line *other)
{
  return line->place.file != other->place.file ? line->place.file < other->place.file
                                               : line->place.offset < other->place.offset;
}

static const struct trace_line *client_end(const struct trace_story *story)
{
  for (size_t i = 0; i < story->count; i++) {
    const struct trace_line *t = &story->lines[i];
    if (t->process == TRACE_CLIENT &&
        (log_line_is_fact(&t->line, "accept") || log_line_is_fact(&t->line, "refuse"))) {
      return t;
    }
  }
  return NULL;
}

/*
 * What the others say of the message stands behind what the client sent of it,
 * and before "accept". Lines are stamped by the multilog that reads them, and
 * on a busy machine that of relay-smtpd may come to read after relay-send's.
 */
static void put_others_behind_client(struct trace_story *story)
{
  const struct trace_line *end = client_end(story);
  int64_t sent = INT64_MIN, since = minted(story->id);

  if (!end) {
    return;
  }
  for (size_t i = 0; i < story->count; i++) {
    struct trace_line *t = &story->lines[i];
    bool client = t->process == TRACE_CLIENT || t->process == TRACE_TCPSERVER;
    t->turn = !client ? TURN_OTHERS : is_before(t, end) ? TURN_CLIENT : TURN_CLIENT_END;
    if (t->turn == TURN_CLIENT && t->order > sent) {
      sent = t->order;
    }
  }
  for (size_t i = 0; i < story->count; i++) {
    struct trace_line *t = &story->lines[i];
    if (t->turn == TURN_OTHERS && t->order < sent && t->order >= since) {
      t->not_before = sent;
    }
  }
}

static int64_t stands_at(const struct trace_line *line)
{
  return line->order > line->not_before ? line->order : line->not_before;
}

static int by_order(const void *a, const void *b)
{
  const struct trace_line *x = a, *y = b;

  if (stands_at(x) != stands_at(y)) {
    return stands_at(x) < stands_at(y) ? -1 : 1;
  }
  if (x->turn != y->turn) {
    return x->turn < y->turn ? -1 : 1;
  }
  if (x->order != y->order) {
    return x->order < y->order ? -1 : 1;
  }
  if (x->archive != y->archive) {
    return x->archive < y->archive ? -1 : 1;
  }
  if (x->place.file != y->place.file) {
    return x->place.file < y->place.file ? -1 : 1;
  }
  return x->place.offset < y->place.offset ? -1 : x->place.offset > y->place.offset;
}

/* Sorted, each line once: two attempts on one connection share its opening. */
static void settle(struct trace_story *story)
{
  size_t kept = 0;

  if (story->count == 0) {
    return;
  }
  put_results_behind(story);
  put_others_behind_client(story);
  qsort(story->lines, story->count, sizeof(*story->lines), by_order);
  for (size_t i = 0; i < story->count; i++) {
    if (kept == 0 || by_order(&story->lines[kept - 1], &story->lines[i]) != 0) {
      story->lines[kept++] = story->lines[i];
    }
  }
  story->count = kept;
}

int trace_story(const struct trace_logs *logs, const char *id, struct trace_story *story)
{
  struct teller t = {logs, story};

  *story = (struct trace_story){0};
  memcpy(story->id, id, ID_SIZE);
  if (trace_search(logs, id, false, minted(id) - BEFORE_NS, found, &t) == -1) {
    int saved = errno;
    trace_story_free(story);
    errno = saved;
    return -1;
  }
  settle(story);
  return 0;
}

void trace_story_free(struct trace_story *story)
{
  free(story->lines);
  free(story->notices);
  story->lines = NULL;
  story->notices = NULL;
  story->count = story->notice_count = 0;
}
