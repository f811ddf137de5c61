/* Text in mapped files at the speed of memory, and a word for whoever waits. */
#include "trace.h"

#include "clock.h"
#include "report.h"

#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)32 << 20) /* bytes between two looks at the clock */
#define QUIET_MS 2000            /* no word before that */
#define WORD_MS 200              /* between two words */

static int64_t began, spoken;

void trace_progress(const char *what, uint64_t done, uint64_t total)
{
  int64_t now = clock_monotonic_ms();

  if (!began) {
    began = now;
  }
  if (now - began < QUIET_MS || now - spoken < WORD_MS || !isatty(2)) {
    return;
  }
  spoken = now;
  fprintf(stderr, "\r%s: %s: %llu of %llu MB\033[K", report_name(), what,
          (unsigned long long)(done >> 20), (unsigned long long)(total >> 20));
}

void trace_progress_end(void)
{
  if (spoken) {
    fputs("\r\033[K", stderr);
  }
  began = spoken = 0;
}

static unsigned char fold_byte(unsigned char c)
{
  return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

/* memmem() without regard to ASCII case: Horspool's search. */
static const char *find_folded(const char *data, size_t len, const char *text, size_t text_len)
{
  size_t skip[256], at = 0;

  for (size_t i = 0; i < 256; i++) {
    skip[i] = text_len;
  }
  for (size_t i = 0; i + 1 < text_len; i++) {
    skip[fold_byte((unsigned char)text[i])] = text_len - 1 - i;
  }
  while (at + text_len <= len) {
    unsigned char last = fold_byte((unsigned char)data[at + text_len - 1]);
    if (last == fold_byte((unsigned char)text[text_len - 1])) {
      size_t i = 0;
      while (i < text_len &&
             fold_byte((unsigned char)data[at + i]) == fold_byte((unsigned char)text[i])) {
        i++;
      }
      if (i == text_len) {
        return data + at;
      }
    }
    at += skip[last];
  }
  return NULL;
}

/* One file; hits in one line are one hit. */
static int search_file(const struct log_archive *a, unsigned archive, unsigned file,
                       const char *text, bool fold, trace_found *found, void *argument,
                       uint64_t done, uint64_t total)
{
  const struct log_file *f = &a->files[file];
  size_t text_len = strlen(text), at = 0;

  while (at + text_len <= f->size) {
    size_t len = f->size - at < CHUNK ? f->size - at : CHUNK;
    const char *hit = fold ? find_folded(f->data + at, len, text, text_len)
                           : memmem(f->data + at, len, text, text_len);
    if (!hit) {
      if (len < CHUNK) {
        break;
      }
      at += len - text_len + 1;
      trace_progress("searching", done + at, total);
      continue;
    }
    struct log_place line = log_archive_around(a, file, (size_t)(hit - f->data));
    if (found(argument, archive, line) == -1) {
      return -1;
    }
    at = line.offset + log_archive_line(a, line).len + 1;
  }
  return 0;
}

int trace_search(const struct trace_logs *logs, const char *text, bool fold, int64_t since,
                 trace_found *found, void *argument)
{
  uint64_t done = 0;

  if (*text == '\0') {
    return 0;
  }
  for (unsigned i = 0; i < logs->count; i++) {
    const struct log_archive *a = &logs->archives[i];
    for (unsigned n = 0; n < a->count; n++) {
      if (a->files[n].last >= since &&
          search_file(a, i, n, text, fold, found, argument, done, logs->bytes) == -1) {
        return -1;
      }
      done += a->files[n].size;
    }
  }
  return 0;
}
