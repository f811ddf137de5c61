#ifndef INJECT_ARGS_H
#define INJECT_ARGS_H

#include <stdbool.h>

/*
 * The command line, as sendmail(8) has it. What sendmail's callers give and
 * what means nothing here (-odb, -oem, -B, -G, ...) is taken and does nothing;
 * relay-inject(8) lists it.
 */
enum inject_mode {
  INJECT_MODE_SEND,
  INJECT_MODE_NOTHING, /* -bi: there is no alias file to rebuild */
  INJECT_MODE_QUEUE,   /* -bp, -q: see relay-ctl */
  INJECT_MODE_OTHER,   /* -bs, -bd, ...: not done by this program */
  INJECT_MODE_HELP,    /* --help */
  INJECT_MODE_USAGE
};

struct inject_args {
  enum inject_mode mode;
  char other;            /* the letter behind -b */
  const char *directory; /* -d */
  const char *sender;    /* -f, -r; NULL if none */
  const char *full_name; /* -F */
  const char *envid;     /* -V */
  bool from_header;      /* -t */
  bool dot_is_text;      /* -i, -oi */
  bool verbose;          /* -v */
  int notify;            /* -N, ENVELOPE_NOTIFY_* */
  int ret;               /* -R, ENVELOPE_RET_* */
  char **rcpts;
  int rcpt_count;
};

extern const char inject_args_help[];

/* On INJECT_MODE_USAGE a message has been printed. */
void inject_args_parse(struct inject_args *a, int argc, char **argv);

#endif
