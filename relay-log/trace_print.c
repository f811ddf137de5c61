/* A story for eyes, and for programs. */
#include "log_print.h"
#include "tai64n.h"
#include "trace.h"

#include "scan.h"

#include <string.h>

static const char *process_name(enum trace_process process)
{
  switch (process) {
  case TRACE_CLIENT:
    return "client";
  case TRACE_QUEUE:
    return "queue";
  case TRACE_SEND:
    return "send";
  case TRACE_MX:
    return "mx";
  case TRACE_TCPSERVER:
    return "tcp";
  }
  return "";
}

static void print_heading(FILE *out, const struct trace_story *story)
{
  fprintf(out, "message %s", story->id);
  if (*story->origin) {
    fprintf(out, ", a notice about %s", story->origin);
  }
  for (size_t i = 0; i < story->notice_count; i++) {
    fprintf(out, "%s %s", i ? "," : "; notices about it:", story->notices[i]);
  }
  putc('\n', out);
}

void trace_print(FILE *out, const struct trace_story *story)
{
  char when[TAI64N_TEXT_SIZE], day[TAI64N_TEXT_SIZE] = "";

  print_heading(out, story);
  for (size_t i = 0; i < story->count; i++) {
    const struct trace_line *t = &story->lines[i];
    tai64n_local(t->line.at, when);
    if (memcmp(day, when, strlen("2026-11-22")) != 0) {
      fprintf(out, "%.10s\n", when);
      memcpy(day, when, sizeof(day));
    }
    fprintf(out, "  %.15s  %-6s %7u  ", when + 11, process_name(t->process), t->line.pid);
    if (t->line.direction != 't') {
      fprintf(out, "%c ", t->line.direction);
    }
    log_print(out, t->line.text);
    putc('\n', out);
  }
}

/* A number as one, if every program reads it as the same. */
static bool is_number(struct log_text v)
{
  return v.len > 0 && v.len <= 15 && scan_digits(v.s, v.len) == v.len &&
         (v.len == 1 || *v.s != '0');
}

static void print_facts(FILE *out, const struct log_line *line)
{
  struct log_facts facts;

  log_facts_parse(line->text, &facts);
  fputs(",\"word\":", out);
  log_print_json(out, facts.word);
  fputs(",\"facts\":{", out);
  for (unsigned i = 0; i < facts.count; i++) {
    struct log_text value = facts.fact[i].value;
    fputs(i ? "," : "", out);
    log_print_json(out, facts.fact[i].key);
    putc(':', out);
    /* An id or a status may be all digits; only what is always a number is one. */
    if (is_number(value) && !log_text_is(facts.fact[i].key, "id") &&
        !log_text_is(facts.fact[i].key, "tenant") && !log_text_is(facts.fact[i].key, "host")) {
      fprintf(out, "%.*s", (int)value.len, value.s);
    } else {
      log_print_json(out, value);
    }
  }
  putc('}', out);
}

size_t trace_print_json(FILE *out, const struct trace_story *story, bool first)
{
  char when[TAI64N_TEXT_SIZE];

  for (size_t i = 0; i < story->count; i++) {
    const struct trace_line *t = &story->lines[i];
    tai64n_utc(t->line.at, when);
    when[10] = 'T';
    fprintf(out, "%s{\"id\":\"%s\",\"time\":\"%.26sZ\",\"process\":\"%s\",\"pid\":%u",
            first && i == 0 ? "[" : ",\n ", story->id, when, process_name(t->process), t->line.pid);
    if (t->line.direction != 't') {
      fprintf(out, ",\"direction\":\"%c\"", t->line.direction);
    }
    fputs(",\"text\":", out);
    log_print_json(out, t->line.text);
    if (t->line.direction == '=') {
      print_facts(out, &t->line);
    }
    putc('}', out);
  }
  return story->count;
}
