#include "through_words.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX (512 - 4 - 2) /* what the code, its blank and CRLF leave of a reply line */

static int code_of(const struct outcome *o)
{
  static const struct {
    enum verdict verdict;
    int class, otherwise;
  } codes[] = {{VERDICT_DELIVERED, 2, 250},
               {VERDICT_DROPPED, 2, 250},
               {VERDICT_DEFERRED, 4, 451},
               {VERDICT_FAILED, 5, 550}};

  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    if (codes[i].verdict == o->verdict) {
      return o->code / 100 == codes[i].class ? o->code : codes[i].otherwise;
    }
  }
  return 451;
}

/* The reply's text without the code and the enhanced status that begin it. */
static const char *text_of(const struct outcome *o)
{
  const char *text = o->reply;
  char code[8];
  size_t len;

  snprintf(code, sizeof code, "%03d", o->code);
  if (o->code != 0 && strncmp(text, code, 3) == 0) {
    text += 3;
    text += *text == ' ' || *text == '-';
    len = status_scan(text, strlen(text), o->code);
    text += len;
    text += len > 0 && *text == ' ';
  }
  return text;
}

void through_words(const struct outcome *o, int *code, char text[INTAKE_TEXT_SIZE])
{
  const char *status = o->status;

  *code = code_of(o);
  if (status[0] - '0' != *code / 100) {
    status = *code / 100 == 2 ? "2.0.0" : *code / 100 == 4 ? "4.0.0" : "5.0.0";
  }
  if (snprintf(text, WORDS_MAX + 1, "%s %s%s%s", status, o->code ? o->host : "",
               o->code && o->host[0] ? " said: " : "", text_of(o)) > WORDS_MAX) {
    memcpy(text + WORDS_MAX - 3, "...", 3);
  }
  for (char *c = text; *c; c++) {
    if (*c < ' ' || *c > '~') {
      *c = '?';
    }
  }
}
