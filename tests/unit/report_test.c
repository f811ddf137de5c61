#include "report.h"

#include "check.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* What comes out of fd 2, of which a pipe keeps the reading end. */
static char seen[3 * 4096];
static int out[2], real_stderr;

static void begin(void)
{
  CHECK_INT(pipe(out), 0);
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  real_stderr = dup(2);
  dup2(out[1], 2);
}

static size_t end(void)
{
  ssize_t n;

  dup2(real_stderr, 2);
  close(real_stderr);
  n = read(out[0], seen, sizeof(seen) - 1);
  seen[n > 0 ? n : 0] = '\0';
  close(out[0]);
  close(out[1]);
  return n > 0 ? (size_t)n : 0;
}

int main(void)
{
  static char big[9000];
  char date[CLOCK_RFC5322_SIZE];
  size_t n;

  report_program("relay-test");
  CHECK_STR(report_name(), "relay-test");

  begin();
  errno = EACCES;
  report_fatal_errno("unable to open %s", "queue/lock");
  CHECK_INT(errno, EACCES);
  end();
  CHECK_STR(seen, "relay-test: fatal: unable to open queue/lock: Permission denied\n");

  begin();
  report_warning("a\nb\033[1m %s", "\xc3\xa9\xff\xc2\x85\\");
  end();
  CHECK_STR(seen, "relay-test: warning: a\\x0ab\\x1b[1m \xc3\xa9\\xff\\xc2\\x85\\\n");

  memset(big, '\001', sizeof(big) - 1);
  begin();
  report_info("%s", big);
  n = end();
  CHECK(n <= 4096 && n > 4090);
  CHECK(n > 0 && seen[n - 1] == '\n' && strchr(seen, '\n') == seen + n - 1);

  clock_format_rfc5322(1795362309000, date);
  CHECK_STR(date, "Sun, 22 Nov 2026 15:45:09 +0000");
  clock_format_rfc5322(-1, date);
  CHECK_STR(date, "Thu, 01 Jan 1970 00:00:00 +0000");
  clock_format_rfc5322(INT64_MAX, date);
  CHECK_STR(date, "Fri, 31 Dec 9999 23:59:59 +0000");
  CHECK(clock_monotonic_ms() <= clock_monotonic_ms());
  return check_done("report");
}
