/* Envelope decoding: what decodes encodes, and decodes again to the same bytes. */
#include "envelope.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
  if (!condition) {
    abort();
  }
}

/* What relay-log, SMTP commands and headers rely on. */
static void require_no_controls(const char *s)
{
  for (; *s; s++) {
    require((unsigned char)*s >= 0x20 && *s != 0x7f);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct envelope e;
  struct buf first = BUF_INIT(ENVELOPE_MAX), second = BUF_INIT(ENVELOPE_MAX);

  envelope_init(&e);
  if (envelope_decode(&e, (const char *)data, size) == 0) {
    require_no_controls(e.sender);
    require_no_controls(e.tenant);
    require_no_controls(e.source);
    require_no_controls(e.client);
    require_no_controls(e.helo);
    require_no_controls(e.auth);
    require_no_controls(e.envid);
    require_no_controls(e.destination);
    require(e.rcpt_count > 0 && e.rcpt_count <= ENVELOPE_RCPTS_MAX);
    for (uint32_t i = 0; i < e.rcpt_count; i++) {
      require_no_controls(e.rcpts[i].address);
      require_no_controls(e.rcpts[i].orcpt);
    }
    require(envelope_encode(&e, &first) == 0);
    require(envelope_decode(&e, first.data, first.len) == 0);
    require(envelope_encode(&e, &second) == 0);
    require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
  }
  envelope_free(&e);
  buf_free(&first);
  buf_free(&second);
  return 0;
}
