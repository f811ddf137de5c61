/*
 * LD_PRELOAD: a file system whose server does not answer. open() of a file with
 * "stale" in its name never returns, whatever its flags.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int open(const char *path, int flags, ...)
{
  int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  mode_t mode = 0;
  va_list ap;

  va_start(ap, flags);
  if (flags & O_CREAT)
    mode = va_arg(ap, mode_t);
  va_end(ap);
  while (strstr(path, "stale"))
    pause();
  return real(path, flags, mode);
}
