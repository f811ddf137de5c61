#include "ctl_table.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

static const struct ctl_column recipient_columns[] = {
  {"ID", "id", CTL_TEXT},         {"STATE", "state", CTL_TEXT},
  {"NEXT", "next_ms", CTL_NEXT},  {"TRIES", "attempts", CTL_NUMBER},
  {"AGE", "arrival_ms", CTL_AGE}, {"SIZE", "bytes", CTL_SIZE},
  {"TENANT", "tenant", CTL_TEXT}, {"SITE", "site", CTL_TEXT},
  {"SENDER", "sender", CTL_TEXT}, {"RECIPIENT", "recipient", CTL_TEXT},
};
static const struct ctl_column hold_columns[] = {
  {"HELD BY AN OPERATOR", "kind", CTL_TEXT},
  {"NAME", "value", CTL_TEXT},
};
static const struct ctl_column tenant_columns[] = {
  {"TENANT", "tenant", CTL_TEXT},   {"RECIPIENTS", "recipients", CTL_NUMBER},
  {"ACTIVE", "active", CTL_NUMBER}, {"WORKERS", "workers", CTL_NUMBER},
  {"HELD", "held", CTL_YES},
};
static const struct ctl_column domain_columns[] = {
  {"DOMAIN", "domain", CTL_NAME}, {"WAITING", "waiting", CTL_NUMBER},
  {"TROUBLE", "kind", CTL_TEXT},  {"TIMES", "failures", CTL_COUNT},
  {"NEXT", "retry_ms", CTL_NEXT}, {"HELD", "held", CTL_YES},
};
static const struct ctl_column wide_domain_columns[] = {
  {"DOMAIN", "domain", CTL_TEXT},
  {"SITE", "site", CTL_TEXT},
  {"RECIPIENTS", "recipients", CTL_NUMBER},
  {"WAITING", "waiting", CTL_NUMBER},
  {"HELD", "held", CTL_YES},
  {"LAST", "kind", CTL_TEXT},
  {"TIMES", "failures", CTL_COUNT},
  {"AGO", "trouble_ms", CTL_AGE},
  {"NEXT", "retry_ms", CTL_NEXT},
  {"TROUBLE", "trouble", CTL_TEXT},
};
static const struct ctl_column site_columns[] = {
  {"SITE", "site", CTL_NAME},         {"SOURCE", "source", CTL_TEXT},
  {"OPEN", "open", CTL_NUMBER},       {"WINDOW", "window", CTL_NUMBER},
  {"WAITING", "waiting", CTL_NUMBER}, {"BOUND BY", "signal", CTL_BOUND},
  {"NEXT", "retry_ms", CTL_NEXT},
};
static const struct ctl_column wide_site_columns[] = {
  {"SITE", "site", CTL_TEXT},         {"SOURCE", "source", CTL_TEXT},
  {"WINDOW", "window", CTL_NUMBER},   {"CEILING", "ceiling", CTL_COUNT},
  {"RATE/MIN", "rate", CTL_COUNT},    {"OPEN", "open", CTL_NUMBER},
  {"IDLE", "idle", CTL_NUMBER},       {"ACTIVE", "active", CTL_NUMBER},
  {"WAITING", "waiting", CTL_NUMBER}, {"TENANTS", "tenants", CTL_NUMBER},
  {"HELD", "held", CTL_YES},          {"BOUND BY", "signal", CTL_TEXT},
  {"NEXT", "retry_ms", CTL_NEXT},     {"LAST", "kind", CTL_TEXT},
  {"AGO", "trouble_ms", CTL_AGE},     {"TROUBLE", "trouble", CTL_TEXT},
};

#define COLUMNS(of) of, sizeof of / sizeof *of

const struct ctl_column *ctl_table_columns(const char *type, bool wide, unsigned *count)
{
  static const struct {
    const char *type;
    const struct ctl_column *columns;
    unsigned count;
    const struct ctl_column *wide_columns;
    unsigned wide_count;
  } tables[] = {
    {"recipient", COLUMNS(recipient_columns), COLUMNS(recipient_columns)},
    {"hold", COLUMNS(hold_columns), COLUMNS(hold_columns)},
    {"tenant", COLUMNS(tenant_columns), COLUMNS(tenant_columns)},
    {"domain", COLUMNS(domain_columns), COLUMNS(wide_domain_columns)},
    {"site", COLUMNS(site_columns), COLUMNS(wide_site_columns)},
  };

  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    if (strcmp(type, tables[i].type) == 0) {
      *count = wide ? tables[i].wide_count : tables[i].count;
      return wide ? tables[i].wide_columns : tables[i].columns;
    }
  }
  return NULL;
}

/* Characters, not bytes: s is valid UTF-8. */
static size_t width(const char *s)
{
  size_t n = 0;

  for (; *s; s++) {
    n += ((unsigned char)*s & 0xc0) != 0x80;
  }
  return n;
}

void ctl_table_begin(struct ctl_table *t, const struct ctl_column *columns, unsigned count)
{
  *t = (struct ctl_table){.columns = columns, .column_count = count};
  t->cells = memory_get(sizeof *t->cells * CTL_TABLE_ROWS * count);
  t->notes = memory_get(sizeof *t->notes * CTL_TABLE_ROWS);
  for (unsigned i = 0; i < count; i++) {
    t->width[i] = width(columns[i].head);
  }
}

static bool right(enum ctl_column_kind kind)
{
  return kind == CTL_NUMBER || kind == CTL_COUNT || kind == CTL_SIZE || kind == CTL_AGE;
}

static void put_cell(const struct ctl_table *t, FILE *out, unsigned column, const char *text)
{
  size_t wide = width(text);
  int pad = t->width[column] > wide ? (int)(t->width[column] - wide) : 0;

  if (right(t->columns[column].kind)) {
    fprintf(out, "%*s%s", pad, "", text);
  } else if (column + 1 < t->column_count) {
    fprintf(out, "%s%*s", text, pad, "");
  } else {
    fputs(text, out);
  }
  fputs(column + 1 < t->column_count ? "  " : "\n", out);
}

/* Below its row, indented, broken between words. */
static void put_note(FILE *out, const char *note)
{
  size_t at = 0;

  while (*note) {
    size_t len = strcspn(note, " ");
    char *word = memory_get(len + 1);
    memcpy(word, note, len);
    if (at > 0 && at + 1 + width(word) > CTL_TABLE_WIDTH) {
      putc('\n', out);
      at = 0;
    }
    fprintf(out, "%s%s", at == 0 ? "    " : " ", word);
    at += width(word) + (at == 0 ? 4 : 1);
    free(word);
    note += len + strspn(note + len, " ");
  }
  putc('\n', out);
}

static void flush(struct ctl_table *t, FILE *out)
{
  if (!t->head_printed) {
    for (unsigned i = 0; i < t->column_count; i++) {
      put_cell(t, out, i, t->columns[i].head);
    }
    t->head_printed = true;
  }
  for (unsigned row = 0; row < t->row_count; row++) {
    for (unsigned i = 0; i < t->column_count; i++) {
      char *cell = t->cells[row * t->column_count + i];
      put_cell(t, out, i, cell);
      free(cell);
    }
    if (t->notes[row]) {
      put_note(out, t->notes[row]);
      free(t->notes[row]);
      t->notes[row] = NULL;
    }
  }
  t->row_count = 0;
}

static char *format_cell(const struct ctl_row *row, const struct ctl_column *column, int64_t now)
{
  int64_t number = ctl_row_number(row, column->field);
  char text[CTL_PRINT_SHORT + 4] = "in ";

  switch (column->kind) {
  case CTL_SIZE:
    ctl_print_size((uint64_t)number, text);
    break;
  case CTL_AGE:
    if (number == 0) {
      return memory_copy("-");
    }
    ctl_print_span(now - number, text);
    break;
  case CTL_NEXT:
    if (number == 0) {
      return memory_copy("-");
    }
    ctl_print_span(number - now, text + 3);
    break;
  case CTL_COUNT:
    if (number == 0) {
      return memory_copy("-");
    }
    snprintf(text, sizeof text, "%lld", (long long)number);
    break;
  case CTL_YES:
    return memory_copy(number ? "yes" : "-");
  case CTL_BOUND:
    if (ctl_row_number(row, "held")) {
      return memory_copy("held");
    }
    /* fall through */
  default:
    if (strcmp(column->field, "sender") == 0 && !*ctl_row_get(row, "sender")) {
      return memory_copy("<>");
    }
    return *ctl_row_get(row, column->field) ? ctl_print_safe(ctl_row_get(row, column->field))
                                            : memory_copy("-");
  }
  return memory_copy(text);
}

void ctl_table_row(struct ctl_table *t, FILE *out, const struct ctl_row *row, int64_t now)
{
  if (t->row_count == CTL_TABLE_ROWS) {
    flush(t, out);
  }
  for (unsigned i = 0; i < t->column_count; i++) {
    char *cell = format_cell(row, &t->columns[i], now);
    size_t wide = width(cell);
    t->cells[t->row_count * t->column_count + i] = cell;
    if (t->columns[i].kind == CTL_NAME && wide > CTL_TABLE_NAME_MAX) {
      wide = CTL_TABLE_NAME_MAX;
    }
    t->width[i] = wide > t->width[i] ? wide : t->width[i];
  }
  t->row_count++;
}

void ctl_table_note(struct ctl_table *t, char *note)
{
  t->notes[t->row_count - 1] = note;
}

void ctl_table_end(struct ctl_table *t, FILE *out)
{
  if (t->cells) {
    flush(t, out);
    free(t->cells);
    free(t->notes);
    t->cells = NULL;
  }
}

static void put_line(FILE *out, const char *name, const char *value)
{
  char *safe = ctl_print_safe(value);

  fprintf(out, "%-12s %s\n", name, *safe ? safe : "-");
  free(safe);
}

static const char *plural(const struct ctl_row *row, const char *name)
{
  return ctl_row_number(row, name) == 1 ? "" : "s";
}

static void put_queue(FILE *out, const struct ctl_row *row)
{
  fprintf(out,
          "queue        %s message%s, %s recipient%s\n"
          "             %s ready, %s active, %s waiting, %s held, %s with a notice due\n",
          ctl_row_get(row, "messages"), plural(row, "messages"), ctl_row_get(row, "recipients"),
          plural(row, "recipients"), ctl_row_get(row, "ready"), ctl_row_get(row, "active"),
          ctl_row_get(row, "waiting"), ctl_row_get(row, "held"), ctl_row_get(row, "dsn_due"));
}

void ctl_print_selected(FILE *out, const struct ctl_row *row)
{
  put_line(out, ctl_row_get(row, "kind"), ctl_row_get(row, "value"));
  put_queue(out, row);
}

void ctl_print_relay(FILE *out, const struct ctl_row *row)
{
  char uptime[CTL_PRINT_SHORT];

  ctl_print_span(ctl_row_number(row, "uptime_ms"), uptime);
  fprintf(out, "up %s%s\n", uptime,
          ctl_row_number(row, "paused") ? ", PAUSED: the queue cannot write results" : "");
  if (*ctl_row_get(row, "old_settings")) {
    char *why = ctl_print_safe(ctl_row_get(row, "old_settings"));
    fprintf(out, "OLD SETTINGS are in force, and relay will not start again: %s\n", why);
    free(why);
  }
  put_queue(out, row);
  fprintf(out, "connections  %s of %s, to %s site%s, for %s tenant%s; %s DNS question%s open\n",
          ctl_row_get(row, "workers"), ctl_row_get(row, "workers_max"), ctl_row_get(row, "sites"),
          plural(row, "sites"), ctl_row_get(row, "tenants"), plural(row, "tenants"),
          ctl_row_get(row, "lookups"), plural(row, "lookups"));
  fprintf(out, "since start  %s delivered, %s deferred, %s failed\n", ctl_row_get(row, "delivered"),
          ctl_row_get(row, "deferred"), ctl_row_get(row, "failed"));
}

void ctl_print_why(FILE *out, const struct ctl_row *row, int64_t now)
{
  int64_t next = ctl_row_number(row, "next_ms"), expires = ctl_row_number(row, "expires_ms");
  char age[CTL_PRINT_SHORT], until[CTL_PRINT_SHORT], line[128];

  put_line(out, "message", ctl_row_get(row, "id"));
  put_line(out, "recipient", ctl_row_get(row, "recipient"));
  put_line(out, "sender", *ctl_row_get(row, "sender") ? ctl_row_get(row, "sender") : "<>");
  put_line(out, "tenant", ctl_row_get(row, "tenant"));
  put_line(out, "site", ctl_row_get(row, "site"));
  if (*ctl_row_get(row, "source")) {
    put_line(out, "source", ctl_row_get(row, "source"));
  }
  put_line(out, "state", ctl_row_get(row, "state"));
  put_line(out, "because", ctl_row_get(row, "reason"));
  put_line(out, "last reply", ctl_row_get(row, "last"));
  ctl_print_span(now - ctl_row_number(row, "arrival_ms"), age);
  snprintf(line, sizeof line, "%s, came %s ago", ctl_row_get(row, "attempts"), age);
  put_line(out, "attempts", line);
  if (next > 0) {
    ctl_print_span(next - now, until);
    snprintf(line, sizeof line, "in %s", until);
    put_line(out, "next attempt", line);
  }
  ctl_print_span(expires - now, until);
  snprintf(line, sizeof line, "in %s", until);
  put_line(out, "expires", expires > now ? line : "with the next attempt that fails");
}
