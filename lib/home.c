#include "home.h"

#include <stdbool.h>
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
