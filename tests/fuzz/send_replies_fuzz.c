/* replies.c: a line of control/replies, then a reply; the matcher agrees with a plain one. */
#include "replies.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_MAX 64 /* bytes of pattern and of text, for the plain matcher */

/* fits[p][t]: does the pattern from p on fit the text from t on? */
static bool plain(const char *pattern, const char *text)
{
  static bool fits[PLAIN_MAX + 2][PLAIN_MAX + 2];
  size_t plen = strlen(pattern), tlen = strlen(text);

  for (size_t p = plen + 1; p-- > 0;) {
    for (size_t t = tlen + 1; t-- > 0;) {
      if (p == plen) {
        fits[p][t] = t == tlen;
      } else if (pattern[p] == '*') {
        fits[p][t] = fits[p + 1][t] || (t < tlen && fits[p][t + 1]);
      } else {
        fits[p][t] = t < tlen && (pattern[p] == '?' || pattern[p] == text[t]) && fits[p + 1][t + 1];
      }
    }
  }
  return fits[0][0];
}

static void compare(const char *line, const char *reply)
{
  char pattern[PLAIN_MAX + 1], text[PLAIN_MAX + 1];

  strncpy(pattern, line, PLAIN_MAX);
  strncpy(text, reply, PLAIN_MAX);
  pattern[PLAIN_MAX] = text[PLAIN_MAX] = 0;
  if (replies_match(pattern, text) != plain(pattern, text)) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char stages[] = "-cbhtmrd.";
  struct outcome o = {.code = 450};
  struct replies replies;
  char line[1024] = "";

  if (size < 1) {
    return 0;
  }
  o.stage = (enum stage)stages[data[0] % 9];
  const uint8_t *end = memchr(data + 1, '\n', size - 1);
  size_t len = end ? (size_t)(end - data - 1) : size - 1;
  memcpy(line, data + 1, len < sizeof line - 1 ? len : sizeof line - 1);
  if (end) {
    size_t left = size - 2 - len, room = sizeof o.reply - 1;
    memcpy(o.reply, end + 1, left < room ? left : room);
  }
  compare(line, o.reply);
  replies_init(&replies);
  replies_add(&replies, line);
  for (const char *const *built = replies_built_in; *built; built++) {
    replies_add(&replies, *built);
  }
  replies_find(&replies, "google", &o);
  replies_free(&replies);
  return 0;
}
