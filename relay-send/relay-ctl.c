/*
 * relay-ctl: asks relay-send and steers it, over run/ctl. Runs as the operator,
 * who needs to be root or in group relayctl. What comes back holds addresses
 * and replies from anywhere: it is printed escaped. fds: 0, 1 and 2.
 */
#include "clock.h"
#include "ctl.h"
#include "ctl_args.h"
#include "ctl_stat_print.h"
#include "ctl_table.h"
#include "exits.h"
#include "home.h"
#include "io.h"
#include "memory.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 5000
#define ANSWER_MS 300000 /* between two datagrams; an act on a million recipients gives but one */

enum { EXIT_REFUSED = 1 };

static struct {
  bool json, wide;
  bool narrow; /* stat of a selection: everything about it */
  unsigned rows, quiet;
  char type[16]; /* of the table under way */
  struct ctl_table table;
} output;

_Noreturn static void die_connect(void)
{
  if (errno == EACCES) {
    report_fatal("unable to reach %s: permission denied (are you root, or in group relayctl?)",
                 CTL_PATH);
    exit(EXIT_PERMANENT);
  }
  if (errno == ENOENT || errno == ECONNREFUSED) {
    report_fatal("relay is not running here: nobody answers at %s (option -d names its directory)",
                 CTL_PATH);
  } else {
    report_fatal_errno("unable to connect to %s", CTL_PATH);
  }
  exit(EXIT_TEMPORARY);
}

static void print_json_row(const struct ctl_row *row)
{
  fputs(output.rows++ ? ",\n " : "[", stdout);
  ctl_print_json(stdout, row);
}

/* What is said of a site that is well is only for who has asked for it. */
static bool has_note(const struct ctl_row *row)
{
  if (strcmp(row->type, "site") == 0) {
    return !output.wide && (output.narrow || ctl_site_rank(row) <= CTL_RANK_BOUND);
  }
  return strcmp(row->type, "domain") == 0 && !output.wide;
}

static void print_people_row(const struct ctl_row *row)
{
  int64_t now = clock_wall_ms();
  unsigned count = 0;
  const struct ctl_column *columns = ctl_table_columns(row->type, output.wide, &count);

  if (columns && strcmp(output.type, row->type) != 0) {
    ctl_table_end(&output.table, stdout);
    fputs(output.rows ? "\n" : "", stdout);
    snprintf(output.type, sizeof output.type, "%s", row->type);
    ctl_table_begin(&output.table, columns, count);
  }
  if (columns) {
    ctl_table_row(&output.table, stdout, row, now);
    if (has_note(row)) {
      ctl_table_note(&output.table, ctl_stat_note(row, now));
    }
  } else if (strcmp(row->type, "selected") == 0) {
    ctl_print_selected(stdout, row);
  } else if (strcmp(row->type, "why") == 0) {
    fputs(output.rows ? "\n" : "", stdout);
    ctl_print_why(stdout, row, now);
  } else {
    ctl_print_relay(stdout, row);
  }
  output.rows++;
}

static void print_row(const struct ctl_row *row)
{
  if (output.json) {
    print_json_row(row);
  } else if (strcmp(row->type, "site") == 0 && !output.wide && !output.narrow &&
             ctl_site_rank(row) == CTL_RANK_QUIET) {
    output.quiet++;
  } else {
    print_people_row(row);
  }
}

/* The last site is here. */
static void print_kept(void)
{
  const char *data;
  struct ctl_row row;
  size_t len;

  while (ctl_rank_next(&data, &len) == 0) {
    if (ctl_row_parse(data, len, &row) == 0) {
      print_row(&row);
      ctl_row_free(&row);
    }
  }
  if (output.quiet > 0) {
    ctl_table_end(&output.table, stdout);
    printf("%s%u%s site%s without mail or connections (--wide lists them)\n",
           strcmp(output.type, "site") == 0 ? "" : "\n", output.quiet,
           strcmp(output.type, "site") == 0 ? " more" : "", output.quiet == 1 ? "" : "s");
    output.quiet = 0;
  }
}

/* verb '.': the summary of what was done. */
static void print_end(const struct ctl_request *q, const char *text)
{
  bool rows = ctl_args_asks(q->verb);

  if (output.json) {
    if (rows) {
      fputs(output.rows ? "]\n" : "[]\n", stdout);
    } else {
      printf("{\"recipients\":%llu,\"text\":", strtoull(text, NULL, 10));
      ctl_print_json_string(stdout, text);
      fputs("}\n", stdout);
    }
    return;
  }
  ctl_table_end(&output.table, stdout);
  if (!rows) {
    char *safe = ctl_print_safe(text);
    printf("%s: %s\n", q->verb, safe);
    free(safe);
  } else if (output.rows == 0) {
    puts("nothing is queued that matches");
  }
}

/* -1: more is to come. Otherwise the exit status. */
static int take(const struct ctl_request *q, const char *data, size_t len)
{
  struct netstring_reader r;
  struct ctl_row row;
  char verb = 0, text[1024];

  if (ctl_row_parse(data, len, &row) == 0) {
    if (strcmp(row.type, "site") == 0) {
      ctl_rank_keep(ctl_site_rank(&row), data, len);
    } else {
      print_kept();
      print_row(&row);
    }
    ctl_row_free(&row);
    return -1;
  }
  netstring_open(&r, data, len);
  netstring_get_char(&r, &verb);
  netstring_get_str(&r, text, sizeof text);
  if (netstring_end(&r) == -1 || (verb != '.' && verb != '!')) {
    report_fatal("relay-send gave a garbled answer");
    return EXIT_TEMPORARY;
  }
  if (verb == '!') {
    report_fatal("%s", text);
    return EXIT_REFUSED;
  }
  print_kept();
  print_end(q, text);
  return EXIT_OK;
}

static int ask(const struct ctl_request *q)
{
  static char data[SEQPACKET_MAX];
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  int status = -1, fd = seqpacket_connect(CTL_PATH, clock_monotonic_ms() + CONNECT_MS);

  if (fd == -1) {
    die_connect();
  }
  if (ctl_put_request(&b, q) == -1) {
    memory_out();
  }
  if (seqpacket_send_by(fd, b.data, b.len, -1, clock_monotonic_ms() + CONNECT_MS) == -1) {
    die_connect();
  }
  while (status == -1) {
    ssize_t n = seqpacket_recv_by(fd, data, sizeof data, NULL, clock_monotonic_ms() + ANSWER_MS);
    if (n <= 0) {
      report_fatal("relay-send %s before it had answered",
                   n == 0 ? "closed the connection" : "fell silent");
      return EXIT_TEMPORARY;
    }
    status = take(q, data, (size_t)n);
  }
  buf_free(&b);
  close(fd);
  return status;
}

int main(int argc, char **argv)
{
  struct ctl_args args;

  report_program("relay-ctl");
  if (ctl_args_parse(argc, argv, &args) == -1) {
    report_fatal("%s (relay-ctl --help says more)", args.wrong);
    return EXIT_USAGE;
  }
  if (args.help) {
    fputs(ctl_args_help, stdout);
    return EXIT_OK;
  }
  if (home_enter(args.directory) == -1) {
    report_fatal_errno("unable to enter %s",
                       args.directory ? args.directory : "the relay's directory");
    return EXIT_TEMPORARY;
  }
  output.json = args.json;
  output.wide = args.wide;
  output.narrow = strcmp(args.request.kind, "all") != 0;
  int status = ask(&args.request);
  if (fflush(stdout) == EOF || ferror(stdout)) {
    report_fatal_errno("unable to write the output");
    return EXIT_TEMPORARY;
  }
  return status;
}
