#include "ctl_stat_print.h"

#include "escape.h"
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_SIZE 1024
#define NOTE_QUOTED 300 /* bytes of a reply; --wide and --json have all of it */

static struct kept {
  struct buf data; /* a length, then so many bytes, again and again */
  size_t given;
} kept[CTL_RANKS];

enum ctl_rank ctl_site_rank(const struct ctl_row *row)
{
  const char *signal = ctl_row_get(row, "signal");

  if (ctl_row_number(row, "held") || strcmp(signal, "down") == 0 || strcmp(signal, "paused") == 0 ||
      strcmp(signal, "source") == 0) {
    return CTL_RANK_STOPPED;
  }
  if (*signal) {
    return CTL_RANK_BOUND;
  }
  return ctl_row_number(row, "waiting") > 0 || ctl_row_number(row, "open") > 0 ? CTL_RANK_USED
                                                                               : CTL_RANK_QUIET;
}

void ctl_rank_keep(enum ctl_rank rank, const char *data, size_t len)
{
  struct buf *b = &kept[rank].data;

  b->max = SIZE_MAX / 2;
  if (buf_append(b, &len, sizeof len) == -1 || buf_append(b, data, len) == -1) {
    memory_out();
  }
}

int ctl_rank_next(const char **data, size_t *len)
{
  for (int rank = 0; rank < CTL_RANKS; rank++) {
    struct kept *k = &kept[rank];
    if (k->given < k->data.len) {
      memcpy(len, k->data.data + k->given, sizeof *len);
      *data = k->data.data + k->given + sizeof *len;
      k->given += sizeof *len + *len;
      return 0;
    }
    buf_free(&k->data);
    k->given = 0;
  }
  return -1;
}

/* "takes 10 connections, 30 messages a minute", as far as that is learnt. */
static void put_limits(struct buf *b, const struct ctl_row *row)
{
  int64_t ceiling = ctl_row_number(row, "ceiling"), rate = ctl_row_number(row, "rate");

  if (ceiling > 0) {
    buf_printf(b, "takes %lld connection%s", (long long)ceiling, ceiling == 1 ? "" : "s");
  }
  if (rate > 0) {
    buf_printf(b, "%s %lld message%s a minute", ceiling > 0 ? "," : "takes", (long long)rate,
               rate == 1 ? "" : "s");
  }
}

/* The words that fit, or of a reply that is one word its beginning. True if that is all of it. */
static bool quote(const char *text, char out[NOTE_QUOTED + 1])
{
  size_t len = strlen(text), cut;
  bool whole = escape_text(text, len, out, NOTE_QUOTED, &cut) == len;

  out[cut] = '\0';
  if (!whole && strrchr(out, ' ')) {
    *strrchr(out, ' ') = '\0';
  }
  return whole;
}

char *ctl_stat_note(const struct ctl_row *row, int64_t now)
{
  struct buf b = BUF_INIT(NOTE_SIZE);
  char quoted[NOTE_QUOTED + 1], ago[CTL_PRINT_SHORT];
  bool whole = quote(ctl_row_get(row, "trouble"), quoted);

  put_limits(&b, row);
  if (*quoted && ctl_row_number(row, "trouble_ms") > 0) {
    ctl_print_span(now - ctl_row_number(row, "trouble_ms"), ago);
    buf_printf(&b, "%s%s, %s ago: ", b.len > 0 ? "; " : "", ctl_row_get(row, "kind"), ago);
  }
  buf_printf(&b, "%s%s", quoted, whole ? "" : " ...");
  char *note = b.len > 0 ? memory_copy(buf_cstr(&b)) : NULL;
  buf_free(&b);
  return note;
}
