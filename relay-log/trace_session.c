/*
 * Which lines of a session belong to one message. A session is the lines of a
 * pid, and pids are used again: it is followed from the line that names the
 * message back to where it began and forward to where it ends, and no further.
 */
#include "trace.h"

#include "tai64n.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_NS                                                                                    \
  INT64_C(60000000000) /* tcpserver's lines and relay-send's are so near a session's */

/* One walk from a line, over the lines of its pid. */
struct walk {
  const struct log_archive *archive;
  struct log_place place;
  char pid[16];
  size_t pid_len;
  struct log_line line;
  uint64_t bytes;
};

/* Places that may or may not turn out to belong to the message. */
struct places {
  struct log_place *at;
  size_t count, cap;
};

static int keep(struct places *p, struct log_place place)
{
  if (p->count == p->cap) {
    size_t bigger = p->cap ? 2 * p->cap : 64;
    void *more = reallocarray(p->at, bigger, sizeof(*p->at));
    if (!more) {
      return -1;
    }
    p->at = more;
    p->cap = bigger;
  }
  p->at[p->count++] = place;
  return 0;
}

static int add_all(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                   const struct places *p, enum trace_process process)
{
  for (size_t i = 0; i < p->count; i++) {
    if (trace_add(story, logs, archive, p->at[i], process) == -1) {
      return -1;
    }
  }
  return 0;
}

static void walk_from(struct walk *w, const struct log_archive *a, struct log_place place)
{
  struct log_text text = log_archive_line(a, place);

  *w = (struct walk){.archive = a, .place = place};
  log_line_parse(text.s, text.len, &w->line);
  w->pid_len = (size_t)snprintf(w->pid, sizeof(w->pid), "%u", w->line.pid);
}

/* To the next line, in one of the directions, that belongs to the pid. False at the end. */
static bool walk_step(struct walk *w, bool forward)
{
  struct log_text text;

  for (;;) {
    if (!(forward ? log_archive_next(w->archive, &w->place)
                  : log_archive_previous(w->archive, &w->place))) {
      return false;
    }
    text = log_archive_line(w->archive, w->place);
    w->bytes += text.len;
    if (w->bytes >> 24 != (w->bytes - text.len) >> 24) {
      trace_progress("following a session", w->bytes, w->bytes);
    }
    if (log_archive_is_of(text, w->pid, w->pid_len) && log_line_parse(text.s, text.len, &w->line)) {
      return true;
    }
  }
}

static bool is_command(const struct log_line *line, char direction, const char *verb)
{
  return line->direction == direction && log_text_begins(line->text, verb);
}

/* tcpserver's own lines in front of the session: "pid", then "ok". */
static int add_tcpserver(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                         struct walk *w)
{
  int64_t began = w->line.at;

  while (walk_step(w, false) && w->line.direction == 't' && began - w->line.at < NEAR_NS) {
    if (log_text_begins(w->line.text, "tcpserver: end")) {
      break;
    }
    if (trace_add(story, logs, archive, w->place, TRACE_TCPSERVER) == -1) {
      return -1;
    }
    if (log_text_begins(w->line.text, "tcpserver: pid")) {
      break;
    }
  }
  return 0;
}

/*
 * Backward. Since the last MAIL that was passed everything is kept aside: when
 * the session's beginning comes, that is its opening.
 */
static int add_opening(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                       struct walk *w)
{
  struct places aside = {0};
  int result = 0;

  while (result == 0 && walk_step(w, false)) {
    if (w->line.direction == 't' || log_line_is_fact(&w->line, "end")) {
      break; /* the pid's session before: the log does not have this one's beginning */
    }
    if (is_command(&w->line, '<', "MAIL ")) {
      aside.count = 0;
      continue;
    }
    result = keep(&aside, w->place);
    if (log_line_is_fact(&w->line, "connect")) {
      break;
    }
  }
  if (result == 0) {
    result = add_all(story, logs, archive, &aside, TRACE_CLIENT);
  }
  free(aside.at);
  if (result == 0 && log_line_is_fact(&w->line, "connect")) {
    result = add_tcpserver(story, logs, archive, w);
  }
  return result;
}

/* Forward: the reply to the final dot; then, however far, how the session ended. */
static int add_ending(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                      struct walk *w)
{
  bool replied = false, quit = false, ended = false;

  while (walk_step(w, true)) {
    bool mine = !replied && w->line.direction == '>';
    if (log_line_is_fact(&w->line, "connect") || log_text_begins(w->line.text, "tcpserver: pid")) {
      break;
    }
    replied = replied || mine;
    quit = quit || is_command(&w->line, '<', "QUIT");
    ended = ended || log_line_is_fact(&w->line, "end");
    if (!mine && !quit && !ended && w->line.direction != 't') {
      continue;
    }
    if (trace_add(story, logs, archive, w->place,
                  w->line.direction == 't' ? TRACE_TCPSERVER : TRACE_CLIENT) == -1) {
      return -1;
    }
    if (w->line.direction == 't') {
      break;
    }
  }
  return 0;
}

int trace_client(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                 struct log_place accept)
{
  struct walk back, on;
  bool began;

  walk_from(&back, &logs->archives[archive], accept);
  on = back;
  if (trace_add(story, logs, archive, accept, TRACE_CLIENT) == -1) {
    return -1;
  }
  do {
    if (!walk_step(&back, false)) {
      return add_ending(story, logs, archive, &on);
    }
    if (back.line.direction == 't') {
      break;
    }
    began = is_command(&back.line, '<', "MAIL ");
    if (trace_add(story, logs, archive, back.place, TRACE_CLIENT) == -1) {
      return -1;
    }
  } while (!began && !log_line_is_fact(&back.line, "connect"));
  if (began && add_opening(story, logs, archive, &back) == -1) {
    return -1;
  }
  return add_ending(story, logs, archive, &on);
}

/* relay-send's own word about the connection, a little before or after the worker's. */
static int add_connect(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                       const struct walk *w)
{
  const struct log_archive *a = w->archive;
  char worker[32];

  snprintf(worker, sizeof(worker), " worker=%s ", w->pid);
  for (int forward = 0; forward < 2; forward++) {
    struct log_place place = w->place;
    struct log_line line = w->line;
    while (llabs(line.at - w->line.at) < NEAR_NS &&
           (forward ? log_archive_next(a, &place) : log_archive_previous(a, &place))) {
      struct log_text text = log_archive_line(a, place);
      if (!log_line_parse(text.s, text.len, &line)) {
        continue;
      }
      if (line.pid == w->line.pid && log_line_is_fact(&line, "connect")) {
        break;
      }
      if (log_line_is_fact(&line, "connect") &&
          memmem(line.text.s, line.text.len, worker, strlen(worker))) {
        return trace_add(story, logs, archive, place, TRACE_SEND);
      }
    }
  }
  return 0;
}

/*
 * Backward from "deliver" to the end of the transaction before. If that is not
 * the connection's beginning, further back to it: what stands between it and
 * the first MAIL is the opening.
 */
int trace_worker(struct trace_story *story, const struct trace_logs *logs, unsigned archive,
                 struct log_place deliver)
{
  struct places aside = {0};
  struct walk w;
  bool first = true, connect = false; /* first: still in the message's own transaction */
  int result;

  walk_from(&w, &logs->archives[archive], deliver);
  result = trace_add(story, logs, archive, deliver, TRACE_MX);
  while (result == 0 && !connect && walk_step(&w, false)) {
    connect = log_line_is_fact(&w.line, "connect") &&
              memmem(w.line.text.s, w.line.text.len, " ip=", 4) &&
              !memmem(w.line.text.s, w.line.text.len, " failed: ", 9);
    if (log_line_is_fact(&w.line, "deliver")) {
      first = false;
      aside.count = 0;
    } else if (first) {
      result = trace_add(story, logs, archive, w.place, TRACE_MX);
    } else if (is_command(&w.line, '>', "MAIL ")) {
      aside.count = 0;
    } else {
      result = keep(&aside, w.place);
    }
  }
  if (result == 0 && connect) {
    result = add_all(story, logs, archive, &aside, TRACE_MX);
    if (result == 0) {
      result = add_connect(story, logs, archive, &w);
    }
  }
  free(aside.at);
  return result;
}
