#include "log_service.h"

#include "exits.h"
#include "log_dir.h"
#include "report.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *installed[] = {"/etc/relay/smtpd/log/main", "/etc/relay/send/log/main", NULL};

struct taker {
  bool waits;
  void (*add)(void *argument, char *directory);
  void *argument;
  unsigned with_log;
  char without[PATH_MAX]; /* the first one */
};

static void take_one(struct taker *t, char *directory)
{
  int has = log_dir_has_log(directory);

  if (has == -1) {
    report_fatal_errno("unable to read %s", directory);
    exit(EXIT_TEMPORARY);
  }
  if (has == 0 && t->waits) {
    report_warning("%s has no log yet: waiting for its first line", directory);
  } else if (has == 0 && *t->without) {
    report_warning("no log in %s", directory);
  } else if (has == 0) {
    snprintf(t->without, sizeof(t->without), "%s", directory); /* told of in the end */
  }
  t->with_log += has == 1;
  t->add(t->argument, directory);
}

static void take(struct taker *t, const char *name)
{
  /* A sandbox's log/ has them so, relay-conf's services have them in log/main. */
  static const char *const below[] = {"smtpd/log", "send/log", "smtpd", "send"};
  char path[PATH_MAX], *real;
  unsigned found = 0;

  for (size_t i = 0; i < 4 && !(i == 2 && found > 0); i++) {
    snprintf(path, sizeof(path), "%s/%s", name, below[i]);
    real = access(path, X_OK) == 0 ? log_dir_find(path) : NULL;
    if (real) {
      take_one(t, real);
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
  take_one(t, real);
}

void log_services(char **names, bool waits, void (*add)(void *argument, char *directory),
                  void *argument)
{
  struct taker t = {.waits = waits, .add = add, .argument = argument};

  for (char **name = *names ? names : installed; *name; name++) {
    take(&t, *name);
  }
  if (!*t.without) {
    return;
  }
  if (t.with_log == 0) {
    report_fatal("no log in %s: neither current nor a rotated file of multilog", t.without);
    exit(EXIT_USAGE);
  }
  report_warning("no log in %s", t.without);
}
