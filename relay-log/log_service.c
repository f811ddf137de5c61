#include "log_service.h"

#include "exits.h"
#include "log_dir.h"
#include "report.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *installed[] = {"/etc/relay/smtpd/log/main", "/etc/relay/send/log/main", NULL};

static void take(const char *name, void (*add)(void *argument, char *directory), void *argument)
{
  /* A sandbox's log/ has them so, relay-conf's services have them in log/main. */
  static const char *const below[] = {"smtpd/log", "send/log", "smtpd", "send"};
  char path[PATH_MAX], *real;
  unsigned found = 0;

  for (size_t i = 0; i < 4 && !(i == 2 && found > 0); i++) {
    snprintf(path, sizeof(path), "%s/%s", name, below[i]);
    real = access(path, X_OK) == 0 ? log_dir_find(path) : NULL;
    if (real) {
      add(argument, real);
      found++;
    }
  }
  if (found > 0) {
    return;
  }
  real = log_dir_find(name);
  if (!real) {
    report_fatal_errno("unable to read %s", name);
    exit(EXIT_TEMPORARY);
  }
  add(argument, real);
}

void log_services(char **names, void (*add)(void *argument, char *directory), void *argument)
{
  for (char **name = *names ? names : installed; *name; name++) {
    take(*name, add, argument);
  }
}
