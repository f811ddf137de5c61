/*
 * relay-trace: what has become of a message, out of the logs: every line of its
 * life in order, from the client's session to the MX's reply. Runs as whoever
 * may read the logs; trusts nothing in them, prints them escaped. fds: 0, 1, 2.
 */
#include "exits.h"
#include "hash.h"
#include "log_service.h"
#include "report.h"
#include "scan.h"
#include "trace.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 1000000
#define FAMILY_MAX 100 /* notices, their notices, ... of one message that are told */

enum { EXIT_NOTHING = 1 };

static struct {
  bool json;
  uint64_t limit;
  const char *what;
  bool is_id;
  char id[ID_SIZE];
  char **directories; /* malloced array of malloced paths */
  unsigned directory_count;
} options = {.limit = LIMIT_DEFAULT};

static struct trace_logs logs;
static size_t printed;   /* lines */
static struct hash told; /* ids, malloced: a notice may be to the address, too */

static void usage(FILE *out)
{
  fputs("usage: relay-trace [--json] [--limit N] ID|ADDRESS [LOGDIR ...]\n"
        "       relay-trace --help\n"
        "Prints every line of a message's life, out of the logs, in local time.\n"
        "  ID         16 characters, as in the client's 250 and in Received lines\n"
        "  ADDRESS    all messages from or to it, the newest last\n"
        "  LOGDIR     directories of multilog, or directories of these (default:\n"
        "             /etc/relay/smtpd/log/main /etc/relay/send/log/main)\n"
        "  --limit N  of an ADDRESS, the newest N messages (default 20)\n"
        "  --json     an array of objects, a line each\n",
        out);
}

_Noreturn static void die(const char *what)
{
  report_fatal_errno("unable to %s", what);
  exit(EXIT_TEMPORARY);
}

static void add_directory(void *argument, char *path)
{
  char **more = reallocarray(options.directories, options.directory_count + 1, sizeof(*more));

  (void)argument;
  if (!more) {
    die("list the directories");
  }
  options.directories = more;
  options.directories[options.directory_count++] = path;
}

/* An id may be typed in small letters. */
static bool take_id(const char *what, char id[ID_SIZE])
{
  size_t len = strlen(what);

  if (len != ID_LENGTH) {
    return false;
  }
  for (size_t i = 0; i <= len; i++) {
    char c = what[i];
    id[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
  }
  return id_valid(id, len);
}

static void parse(int argc, char **argv)
{
  static const struct option longs[] = {
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, 'j'},
    {"limit", required_argument, NULL, 'l'},
    {0},
  };
  int c;

  while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
    switch (c) {
    case 'h':
      usage(stdout);
      exit(EXIT_OK);
    case 'j':
      options.json = true;
      break;
    case 'l':
      if (scan_u64(optarg, strlen(optarg), LIMIT_MAX, &options.limit) == -1 || !options.limit) {
        report_fatal("--limit %s: not a number from 1 to %d", optarg, LIMIT_MAX);
        exit(EXIT_USAGE);
      }
      break;
    default:
      usage(stderr);
      exit(EXIT_USAGE);
    }
  }
  if (optind >= argc) {
    usage(stderr);
    exit(EXIT_USAGE);
  }
  options.what = argv[optind++];
  options.is_id = take_id(options.what, options.id);
  if (!options.is_id && !strchr(options.what, '@')) {
    report_fatal("%s: neither an id (16 digits and capital letters) nor an address", options.what);
    exit(EXIT_USAGE);
  }
  log_services(argv + optind, false, add_directory, NULL);
}

static void open_logs(void)
{
  logs.archives = calloc(options.directory_count, sizeof(*logs.archives));
  if (!logs.archives) {
    die("open the logs");
  }
  for (; logs.count < options.directory_count; logs.count++) {
    struct log_archive *a = &logs.archives[logs.count];
    if (log_archive_open(a, options.directories[logs.count]) == -1) {
      report_fatal_errno("unable to read %s", options.directories[logs.count]);
      exit(EXIT_TEMPORARY);
    }
    for (unsigned i = 0; i < a->count; i++) {
      logs.bytes += a->files[i].size;
    }
  }
}

static void print(const struct trace_story *story)
{
  if (story->count == 0) {
    return;
  }
  trace_progress_end();
  if (options.json) {
    printed += trace_print_json(stdout, story, printed == 0);
  } else {
    fputs(printed ? "\n" : "", stdout);
    trace_print(stdout, story);
    printed += story->count;
  }
}

static const void *told_key(const void *item, size_t *len)
{
  *len = ID_LENGTH;
  return item;
}

/* True the first time that it is asked about an id. */
static bool is_new(const char *id)
{
  char *copy = hash_find(&told, id, ID_LENGTH) ? NULL : strdup(id);

  return copy && hash_insert(&told, copy) == 0;
}

/* A message, then the notices about it, then notices about these. */
static void tell(const char *id)
{
  char family[FAMILY_MAX][ID_SIZE];
  unsigned count = 1;
  struct trace_story story;

  memcpy(family[0], id, ID_SIZE);
  for (unsigned i = 0; i < count; i++) {
    if (!is_new(family[i])) {
      continue;
    }
    if (trace_story(&logs, family[i], &story) == -1) {
      die("follow the message");
    }
    print(&story);
    for (size_t n = 0; n < story.notice_count && count < FAMILY_MAX; n++) {
      memcpy(family[count++], story.notices[n], ID_SIZE);
    }
    trace_story_free(&story);
  }
}

static void tell_address(const char *address)
{
  char(*ids)[ID_SIZE];
  size_t count, first;

  if (trace_address(&logs, address, &ids, &count) == -1) {
    die("search the logs");
  }
  trace_progress_end();
  first = count > options.limit ? count - options.limit : 0;
  if (first > 0) {
    report_info("%zu messages from or to %s, the newest %zu are shown (--limit)", count, address,
                count - first);
  }
  for (size_t i = first; i < count; i++) {
    tell(ids[i]);
  }
  free(ids);
}

int main(int argc, char **argv)
{
  report_program("relay-trace");
  parse(argc, argv);
  hash_init(&told, told_key);
  open_logs();
  if (options.is_id) {
    tell(options.id);
  } else {
    tell_address(options.what);
  }
  trace_progress_end();
  if (options.json) {
    fputs(printed ? "]\n" : "[]\n", stdout);
  } else if (printed == 0) {
    report_info("nothing about %s in these logs", options.what);
  }
  if (fflush(stdout) == EOF || ferror(stdout)) {
    die("write");
  }
  return printed ? EXIT_OK : EXIT_NOTHING;
}
