#include "ctl_table.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

static const struct ctl_column recipient_columns[] = {
  {"ID", "id", CTL_TEXT},           {"STATE", "state", CTL_TEXT},
  {"NEXT", "next_ms", CTL_NEXT},    {"TRIES", "attempts", CTL_NUMBER},
  {"AGE", "arrival_ms", CTL_AGE},   {"SIZE", "bytes", CTL_SIZE},
  {"TENANT", "tenant", CTL_TEXT},   {"SITE", "site", CTL_TEXT},
  {"SENDER", "sender", CTL_TEXT},   {"RECIPIENT", "recipient", CTL_TEXT},
};
static const struct ctl_column hold_columns[] = {
  {"HELD BY AN OPERATOR", "kind", CTL_TEXT},
  {"NAME", "value", CTL_TEXT},
};
static const struct ctl_column tenant_columns[] = {
  {"TENANT", "tenant", CTL_TEXT},
  {"RECIPIENTS", "recipients", CTL_NUMBER},
  {"ACTIVE", "active", CTL_NUMBER},
  {"WORKERS", "workers", CTL_NUMBER},
  {"HELD", "held", CTL_YES},
};
static const struct ctl_column site_columns[] = {
  {"SITE", "site", CTL_TEXT},         {"SOURCE", "source", CTL_TEXT},
  {"WINDOW", "window", CTL_NUMBER},   {"CEILING", "ceiling", CTL_COUNT},
  {"RATE/MIN", "rate", CTL_COUNT},    {"OPEN", "open", CTL_NUMBER},
  {"IDLE", "idle", CTL_NUMBER},       {"ACTIVE", "active", CTL_NUMBER},
  {"WAITING", "waiting", CTL_NUMBER}, {"TENANTS", "tenants", CTL_NUMBER},
  {"HELD", "held", CTL_YES},          {"BOUND BY", "signal", CTL_TEXT},
  {"NEXT", "retry_ms", CTL_NEXT},     {"LAST", "kind", CTL_TEXT},
  {"AGO", "trouble_ms", CTL_AGE},     {"TROUBLE", "trouble", CTL_TEXT},
};

const struct ctl_column *ctl_table_columns(const char *type, unsigned *count)
{
  static const struct {
    const char *type;
    const struct ctl_column *columns;
    unsigned count;
  } tables[] = {
    {"recipient", recipient_columns, sizeof recipient_columns / sizeof *recipient_columns},
    {"hold", hold_columns, sizeof hold_columns / sizeof *hold_columns},
    {"tenant", tenant_columns, sizeof tenant_columns / sizeof *tenant_columns},
    {"site", site_columns, sizeof site_columns / sizeof *site_columns},
  };

  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    if (strcmp(type, tables[i].type) == 0) {
      *count = tables[i].count;
      return tables[i].columns;
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
  int pad = (int)(t->width[column] - width(text));

  if (right(t->columns[column].kind)) {
    fprintf(out, "%*s%s", pad, "", text);
  } else if (column + 1 < t->column_count) {
    fprintf(out, "%s%*s", text, pad, "");
  } else {
    fputs(text, out);
  }
  fputs(column + 1 < t->column_count ? "  " : "\n", out);
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
  for (unsigned i = 0; i < t->column_count; i++) {
    char *cell = format_cell(row, &t->columns[i], now);
    size_t wide = width(cell);
    t->cells[t->row_count * t->column_count + i] = cell;
    t->width[i] = wide > t->width[i] ? wide : t->width[i];
  }
  if (++t->row_count == CTL_TABLE_ROWS) {
    flush(t, out);
  }
}

void ctl_table_end(struct ctl_table *t, FILE *out)
{
  if (t->cells) {
    flush(t, out);
    free(t->cells);
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
  fprintf(out, "queue        %s message%s, %s recipient%s: %s ready, %s active, %s waiting, %s held, "
          "%s with a notice due\n",
          ctl_row_get(row, "messages"), plural(row, "messages"), ctl_row_get(row, "recipients"),
          plural(row, "recipients"), ctl_row_get(row, "ready"),
          ctl_row_get(row, "active"), ctl_row_get(row, "waiting"), ctl_row_get(row, "held"),
          ctl_row_get(row, "dsn_due"));
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
