/* What became of a transaction, told to relay-send: R in parts, then E. */
#include "transaction.h"

#include "seqpacket.h"

#include <string.h>

#define PART_OUTCOMES 32 /* of at most some 1500 bytes: well below SEQPACKET_MAX */
#define PARTS_MAX ((WORK_RCPTS_MAX + PART_OUTCOMES - 1) / PART_OUTCOMES)

_Static_assert(PART_OUTCOMES *(sizeof(struct outcome) + 40) + 64 < SEQPACKET_MAX, "R fits");

void transaction_decide_rest(struct transaction *t, const struct outcome *model)
{
  for (uint32_t i = 0; i < t->job->rcpt_count; i++) {
    if (!t->decided[i]) {
      t->outcomes[i] = *model;
      t->decided[i] = true;
    }
  }
}

static int put_part(struct transaction *t, struct buf *b, uint32_t from, uint32_t count)
{
  int failed = netstring_put_str(b, "R");

  failed |= netstring_put_u64(b, t->job->token);
  failed |= netstring_put_u64(b, count);
  for (uint32_t i = from; i < from + count; i++) {
    t->outcomes[i].rcpt = t->job->rcpts[i];
    memcpy(t->outcomes[i].host, t->host, sizeof(t->host));
    failed |= outcome_put(b, &t->outcomes[i]);
  }
  return failed;
}

int transaction_tell(struct transaction *t)
{
  static struct buf parts[PARTS_MAX + 1]; /* kept, so that their memory is */
  uint32_t n = 0, count;
  int failed = 0;

  for (uint32_t i = 0; i < t->job->rcpt_count && !t->end.stale; i += PART_OUTCOMES) {
    count = t->job->rcpt_count - i;
    count = count < PART_OUTCOMES ? count : PART_OUTCOMES;
    parts[n].max = SEQPACKET_MAX;
    buf_reset(&parts[n]);
    failed |= put_part(t, &parts[n++], i, count);
  }
  parts[n].max = SEQPACKET_MAX;
  buf_reset(&parts[n]);
  failed |= work_put_end(&parts[n++], &t->end);
  /* Out of memory here: the worker ends, which is a temporary failure of them all. */
  return failed ? -1 : wire_tell_all(&t->s->wire, parts, n);
}
