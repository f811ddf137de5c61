/*
 * Only in the musl variant of relay-smtpd. Debian's static libraries are
 * compiled for glibc with _FORTIFY_SOURCE, so they call the checked forms of
 * these functions, which musl has not. The check is done here too.
 */
#include <stdlib.h>
#include <string.h>

void *__memcpy_chk(void *to, const void *from, size_t len, size_t room);
void *__memmove_chk(void *to, const void *from, size_t len, size_t room);
void *__memset_chk(void *to, int byte, size_t len, size_t room);

void *__memcpy_chk(void *to, const void *from, size_t len, size_t room)
{
  if (len > room) {
    abort();
  }
  return memcpy(to, from, len);
}

void *__memmove_chk(void *to, const void *from, size_t len, size_t room)
{
  if (len > room) {
    abort();
  }
  return memmove(to, from, len);
}

void *__memset_chk(void *to, int byte, size_t len, size_t room)
{
  if (len > room) {
    abort();
  }
  return memset(to, byte, len);
}
