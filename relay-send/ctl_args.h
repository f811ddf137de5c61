#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include "ctl.h"

/* relay-ctl's command line. */
struct ctl_args {
  struct ctl_request request;
  const char *directory; /* NULL: where home_enter() finds it */
  bool json, wide, help;
  char wrong[512]; /* after -1 */
};

extern const char ctl_args_help[];

int ctl_args_parse(int argc, char **argv, struct ctl_args *args);

/* Does this verb answer with rows (stat, list, why)? */
bool ctl_args_asks(const char *verb);

#endif
