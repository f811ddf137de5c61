/* PEM files as relay-keyd reads them: taken or refused with a sentence, nothing else. */
#include "keyd_key.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct keyd_key *k =
    keyd_key_load("chain", (const char *)data, size, "key", (const char *)data, size);

  if (!k && !*keyd_key_error()) {
    abort();
  }
  keyd_key_free(k);
  return 0;
}
