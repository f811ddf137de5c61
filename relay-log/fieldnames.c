#include "fieldnames.h"

#include "scan.h"

#include <string.h>

static bool is_name(const char *s, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' || s[i] == '*') {
      return false;
    }
  }
  return true;
}

const char *fieldnames_parse(struct fieldnames *f, const char *text)
{
  *f = (struct fieldnames){.all = !text};
  while (text && *text) {
    size_t len = strcspn(text, ",");
    struct fieldname *n = &f->names[f->count];
    if (f->count == FIELDNAMES_MAX) {
      return "too many names";
    }
    n->name = text;
    n->prefix = len > 0 && text[len - 1] == '*';
    n->len = len - n->prefix;
    if (n->len == 0 || !is_name(n->name, n->len)) {
      return "not a header name";
    }
    f->count++;
    text += len;
    if (*text && !*++text) {
      return "a name is missing behind the last comma";
    }
  }
  return NULL;
}

size_t fieldnames_length(const char *line, size_t len)
{
  size_t n = 0, end;

  while (n < len && line[n] > ' ' && line[n] < 0x7f && line[n] != ':') {
    n++;
  }
  for (end = n; end < len && line[end] == ' '; end++) {
  }
  return end < len && line[end] == ':' ? n : 0;
}

bool fieldnames_wanted(const struct fieldnames *f, const char *name, size_t len)
{
  if (f->all) {
    return true;
  }
  for (size_t i = 0; i < f->count; i++) {
    const struct fieldname *n = &f->names[i];
    if (len >= n->len && (n->prefix || len == n->len) &&
        scan_case_equal(name, n->len, n->name, n->len)) {
      return true;
    }
  }
  return false;
}
