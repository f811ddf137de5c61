/* sendmail's options. */
#include "inject_args.h"

#include "envelope.h"
#include "report.h"
#include "scan.h"

#include <string.h>
#include <unistd.h>

/* Those of sendmail(8) and Postfix's sendmail(1), and -d DIR. "+": options end at the first
 * address. */
static const char options[] = "+A:B:C:F:GIL:N:O:R:UV:X:b:cd:e:f:h:imno:p:q::r:tvx";

const char inject_args_help[] =
  "usage: relay-inject [-iItv] [-d DIR] [-f SENDER] [-F NAME] [-N NOTIFY] [-R RETURN] [-V ENVID]\n"
  "                    [RECIPIENT ...]\n"
  "Reads a message from standard input and hands it to relay. As sendmail: /usr/sbin/sendmail's\n"
  "options are taken.\n"
  "  -t         recipients are those of To, Cc and Bcc\n"
  "  -f SENDER  the envelope's sender; -F NAME the name in From\n"
  "  -i         a line of a single dot is text\n"
  "  -N NOTIFY  never, or of success,failure,delay; -R full|hdrs; -V ENVID: RFC 3461\n"
  "  -v         say what became of it\n"
  "Status: 0 it is queued, 64 wrong use, 75 try again later, others as in sysexits.h.\n";

static bool is(const char *s, size_t len, const char *word)
{
  return scan_case_equal(s, len, word, strlen(word));
}

/* -N never, or a list of success, failure, delay. -1 if it is neither. */
static int parse_notify(const char *s)
{
  int notify = 0;

  if (is(s, strlen(s), "never")) {
    return ENVELOPE_NOTIFY_NEVER;
  }
  for (;;) {
    size_t len = strcspn(s, ",");
    if (is(s, len, "success")) {
      notify |= ENVELOPE_NOTIFY_SUCCESS;
    } else if (is(s, len, "failure")) {
      notify |= ENVELOPE_NOTIFY_FAILURE;
    } else if (is(s, len, "delay")) {
      notify |= ENVELOPE_NOTIFY_DELAY;
    } else {
      return -1;
    }
    if (!s[len]) {
      return notify;
    }
    s += len + 1;
  }
}

static void refuse(struct inject_args *a, const char *what, const char *value)
{
  report_fatal("%s: %s", what, value);
  a->mode = INJECT_MODE_USAGE;
}

static void take_mode(struct inject_args *a, const char *value)
{
  a->other = value[0];
  switch (value[0]) {
  case 'm':
    a->mode = INJECT_MODE_SEND;
    break;
  case 'i':
    a->mode = INJECT_MODE_NOTHING;
    break;
  case 'p':
    a->mode = INJECT_MODE_QUEUE;
    break;
  default:
    a->mode = INJECT_MODE_OTHER;
    break;
  }
}

static void take_dsn_option(struct inject_args *a, int c, const char *value)
{
  if (c == 'N') {
    a->notify = parse_notify(value);
    if (a->notify < 0) {
      refuse(a, "-N takes never, or a list of success, failure and delay, not", value);
    }
  } else if (c == 'R') {
    bool full = is(value, strlen(value), "full");
    a->ret = full ? ENVELOPE_RET_FULL : ENVELOPE_RET_HDRS;
    if (!full && !is(value, strlen(value), "hdrs")) {
      refuse(a, "-R takes full or hdrs, not", value);
    }
  } else {
    a->envid = value;
  }
}

static void take_option(struct inject_args *a, int c, const char *value)
{
  switch (c) {
  case 'b':
    take_mode(a, value);
    break;
  case 'd':
    a->directory = value;
    break;
  case 'f':
  case 'r':
    a->sender = value;
    break;
  case 'F':
    a->full_name = value;
    break;
  case 'I':
    a->mode = INJECT_MODE_NOTHING;
    break;
  case 'N':
  case 'R':
  case 'V':
    take_dsn_option(a, c, value);
    break;
  case 'i':
    a->dot_is_text = true;
    break;
  case 'o':
    a->dot_is_text = a->dot_is_text || strcmp(value, "i") == 0;
    break;
  case 'q':
    a->mode = INJECT_MODE_QUEUE;
    break;
  case 't':
    a->from_header = true;
    break;
  case 'v':
    a->verbose = true;
    break;
  default: /* taken for the callers' sake */
    break;
  }
}

void inject_args_parse(struct inject_args *a, int argc, char **argv)
{
  int c;

  *a = (struct inject_args){.mode = INJECT_MODE_SEND};
  if (argc == 2 && strcmp(argv[1], "--help") == 0) {
    a->mode = INJECT_MODE_HELP;
    return;
  }
  while (a->mode != INJECT_MODE_USAGE && (c = getopt(argc, argv, options)) != -1) {
    if (c == '?') {
      a->mode = INJECT_MODE_USAGE; /* getopt has said why */
      return;
    }
    take_option(a, c, optarg);
  }
  a->rcpts = argv + optind;
  a->rcpt_count = argc - optind;
}
