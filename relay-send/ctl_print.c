#include "ctl_print.h"

#include "escape.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define CTL_VALUE_MAX 4096

int ctl_row_parse(const char *data, size_t len, struct ctl_row *row)
{
  struct netstring_reader r;
  char verb = 0, value[CTL_VALUE_MAX];

  memset(row, 0, sizeof *row);
  netstring_open(&r, data, len);
  netstring_get_char(&r, &verb);
  netstring_get_str(&r, row->type, sizeof row->type);
  while (netstring_more(&r) && row->count < CTL_PRINT_FIELDS) {
    netstring_get_str(&r, row->fields[row->count].name, sizeof row->fields[0].name);
    if (netstring_get_str(&r, value, sizeof value) == -1 || !*value || !strchr("snb", *value)) {
      r.bad = true;
      break;
    }
    row->fields[row->count].kind = *value;
    row->fields[row->count++].value = memory_copy(value + 1);
  }
  if (verb != 'r' || netstring_end(&r) == -1) {
    ctl_row_free(row);
    return -1;
  }
  return 0;
}

void ctl_row_free(struct ctl_row *row)
{
  for (unsigned i = 0; i < row->count; i++) {
    free(row->fields[i].value);
  }
  row->count = 0;
}

const char *ctl_row_get(const struct ctl_row *row, const char *name)
{
  for (unsigned i = 0; i < row->count; i++) {
    if (strcmp(row->fields[i].name, name) == 0) {
      return row->fields[i].value;
    }
  }
  return "";
}

int64_t ctl_row_number(const struct ctl_row *row, const char *name)
{
  return strtoll(ctl_row_get(row, name), NULL, 10);
}

char *ctl_print_safe(const char *s)
{
  size_t len = strlen(s), written = 0;
  char *out = memory_get(4 * len + 1);

  escape_text(s, len, out, 4 * len, &written);
  out[written] = '\0';
  return out;
}

void ctl_print_json_string(FILE *out, const char *s)
{
  char *safe = ctl_print_safe(s); /* bytes that are not UTF-8 have no place in JSON */

  putc('"', out);
  for (const char *p = safe; *p; p++) {
    if (*p == '"' || *p == '\\') {
      putc('\\', out);
    }
    putc(*p, out);
  }
  putc('"', out);
  free(safe);
}

void ctl_print_json(FILE *out, const struct ctl_row *row)
{
  fputs("{\"row\":", out);
  ctl_print_json_string(out, row->type);
  for (unsigned i = 0; i < row->count; i++) {
    putc(',', out);
    ctl_print_json_string(out, row->fields[i].name);
    putc(':', out);
    if (row->fields[i].kind == 's') {
      ctl_print_json_string(out, row->fields[i].value);
    } else if (row->fields[i].kind == 'b') {
      fputs(row->fields[i].value[0] == '1' ? "true" : "false", out);
    } else {
      fprintf(out, "%lld", strtoll(row->fields[i].value, NULL, 10));
    }
  }
  putc('}', out);
}

void ctl_print_size(uint64_t bytes, char out[CTL_PRINT_SHORT])
{
  static const char units[] = "KMGT";
  double value = (double)bytes;
  int unit = -1;

  if (bytes < 1000) {
    snprintf(out, CTL_PRINT_SHORT, "%u", (unsigned)bytes);
    return;
  }
  while (value >= 999.5 && unit < 3) {
    value /= 1024;
    unit++;
  }
  snprintf(out, CTL_PRINT_SHORT, "%.*f%c", value < 9.95, value, units[unit]);
}

static void print_two(char *out, long long big, char big_unit, long long small, char small_unit)
{
  if (small > 0) {
    snprintf(out, CTL_PRINT_SHORT, "%lld%c%02lld%c", big, big_unit, small, small_unit);
  } else {
    snprintf(out, CTL_PRINT_SHORT, "%lld%c", big, big_unit);
  }
}

void ctl_print_span(int64_t ms, char out[CTL_PRINT_SHORT])
{
  long long s = ms > 0 ? (ms + 500) / 1000 : 0;

  if (s < 60) {
    snprintf(out, CTL_PRINT_SHORT, "%llds", s);
  } else if (s < 3600) {
    print_two(out, s / 60, 'm', s % 60, 's');
  } else if (s < 86400) {
    print_two(out, s / 3600, 'h', s % 3600 / 60, 'm');
  } else {
    print_two(out, s / 86400, 'd', s % 86400 / 3600, 'h');
  }
}
