#include "log_print.h"

#include "escape.h"

#define PIECE 512

static void print(FILE *out, struct log_text text, bool json)
{
  char safe[4 * PIECE];
  size_t written;

  while (text.len > 0) {
    size_t taken = escape_text(text.s, text.len, safe, sizeof(safe), &written);
    text.s += taken;
    text.len -= taken;
    for (size_t i = 0; i < written; i++) {
      if (json && (safe[i] == '"' || safe[i] == '\\')) {
        putc('\\', out);
      }
      putc(safe[i], out);
    }
  }
}

void log_print(FILE *out, struct log_text text)
{
  print(out, text, false);
}

void log_print_json(FILE *out, struct log_text text)
{
  putc('"', out);
  print(out, text, true);
  putc('"', out);
}
