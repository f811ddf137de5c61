/* What is not complete at a commit, as netstrings in log_state. */
#include "logdb_load.h"

#include "exits.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define ITEM_MAX (16 << 20) /* bytes of a buf in it */

void text_copy(char *out, size_t size, struct log_text text)
{
  if (text.len >= size) {
    text.len = size - 1;
    while (text.len > 0 && ((unsigned char)text.s[text.len] & 0xc0) == 0x80) {
      text.len--;
    }
  }
  if (text.len > 0) {
    memcpy(out, text.s, text.len);
  }
  out[text.len] = '\0';
}

int state_put(struct buf *out, const void *from, const struct logdb_field *fields, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    const char *p = (const char *)from + fields[i].offset;
    const struct buf *b = (const struct buf *)(const void *)p;
    int got = fields[i].kind == 's' ? netstring_put_str(out, p)
              : fields[i].kind == 'n'
                ? netstring_put_u64(out, (uint64_t) * (const int64_t *)(const void *)p)
                : netstring_put(out, b->len ? b->data : "", b->len);
    if (got == -1) {
      return -1;
    }
  }
  return 0;
}

int state_get(struct netstring_reader *r, void *to, const struct logdb_field *fields, size_t count)
{
  const char *data;
  uint64_t number;
  size_t len;

  for (size_t i = 0; i < count; i++) {
    char *p = (char *)to + fields[i].offset;
    struct buf *b = (struct buf *)(void *)p;
    if (fields[i].kind == 's') {
      netstring_get_str(r, p, fields[i].size);
    } else if (fields[i].kind == 'n') {
      if (netstring_get_u64(r, UINT64_MAX, &number) == 0) {
        *(int64_t *)(void *)p = (int64_t)number;
      }
    } else if (netstring_get(r, ITEM_MAX, &data, &len) == 0 && buf_append(b, data, len) == -1) {
      return -1;
    }
  }
  return r->bad ? -1 : 0;
}

void state_keep(struct logdb_load *l, const char *item, const struct buf *value)
{
  struct logdb_row row = {0};

  row_string(&row, l->db->source);
  row_string(&row, item);
  row_text(&row, (struct log_text){value->data, value->len}, value->len);
  logdb_run(l->db, LOGDB_STATE, &row);
}

void state_drop(struct logdb_load *l, const char *item)
{
  struct logdb_row row = {0};

  row_string(&row, l->db->source);
  row_string(&row, item);
  logdb_run(l->db, LOGDB_STATE_DELETE, &row);
}
