#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MEMFD_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

int memfd_make(const char *name)
{
  return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int memfd_seal(int fd)
{
  return fcntl(fd, F_ADD_SEALS, MEMFD_SEALS);
}

int memfd_check(int fd, off_t size)
{
  struct stat st;
  int seals, flags;

  /* Seals first: only behind them can the size no longer change. FUTURE_WRITE is not
   * enough, it leaves the maker's old mappings writable. No file but a memfd made for
   * sealing can have all four. */
  seals = fcntl(fd, F_GET_SEALS);
  if (seals == -1 || (seals & MEMFD_SEALS) != MEMFD_SEALS) {
    goto refuse;
  }
  flags = fcntl(fd, F_GETFL);
  if (flags == -1 || (flags & O_ACCMODE) == O_WRONLY) {
    goto refuse;
  }
  if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size != size) {
    goto refuse;
  }
  return 0;

refuse:
  errno = EINVAL;
  return -1;
}
