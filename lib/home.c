#include "home.h"

#include "exits.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

const char home_default[] = RELAY_HOME;

static bool is_directory(const char *path)
{
  struct stat st;

  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int home_enter(const char *directory)
{
  if (directory) {
    return chdir(directory);
  }
  /* queue/ is not asked for: most programs' uids cannot see it, and need not. */
  if (is_directory("control") && is_directory("run")) {
    return 0;
  }
  return chdir(home_default);
}

int home_options(int argc, char **argv, const char *usage, const char **directory)
{
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
  int option;

  while ((option = getopt_long(argc, argv, "+d:", options, NULL)) != -1) {
    if (option != 'd') {
      dprintf(option == 'h' ? 1 : 2, "%s", usage);
      return option == 'h' ? EXIT_OK : EXIT_USAGE;
    }
    *directory = optarg;
  }
  if (optind != argc) {
    dprintf(2, "%s", usage);
    return EXIT_USAGE;
  }
  return -1;
}
