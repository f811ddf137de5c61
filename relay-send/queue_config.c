#include "queue_config.h"

#include "control.h"
#include "exits.h"
#include "intake.h"
#include "queue_store.h"
#include "report.h"

int queue_config_read(struct queue_config *c)
{
  struct {
    const char *name;
    uint64_t min, max, *value;
  } numbers[] = {
    /* 32 bits of position in units of 8 bytes would allow more; replay and compaction would not. */
    {"queuesegmentbytes", 65536, 1 << 30, &c->segment_bytes},
    {"queuefree", 0, INT64_MAX, &c->free_bytes},
    {"queuefreeinodes", 0, INT64_MAX, &c->free_inodes},
    {"concurrencyincoming", 1, 1000000, &c->connections},
    {"injectconcurrency", 1, 1000000, &c->inject_connections},
    {"injectbytes", 1, INT64_MAX, &c->inject_bytes},
    {"throughbytes", 0, INTAKE_CONTENT_MAX, &c->through_bytes},
    {"throughmemory", 0, INT64_MAX, &c->through_memory},
    {"databytes", 0, INTAKE_CONTENT_MAX, &c->databytes},
  };
  enum control_result result;
  unsigned i;

  *c = (struct queue_config){
    .segment_bytes = STORE_SEGMENT_BYTES,
    .connections = 1000,
    .inject_connections = 20,
    .inject_bytes = 256 << 20,
    .through_bytes = INTAKE_THROUGH_BYTES,
    .through_memory = 256 << 20,
  };
  result = control_me(c->me, sizeof(c->me));
  for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && result < CONTROL_MALFORMED; i++) {
    result = control_u64(numbers[i].name, numbers[i].min, numbers[i].max, numbers[i].value);
  }
  if (result == CONTROL_MALFORMED || result == CONTROL_UNREADABLE) {
    report_fatal("%s", control_error());
    return result == CONTROL_MALFORMED ? EXIT_PERMANENT : EXIT_TEMPORARY;
  }
  /* A batch begins on a page. */
  c->segment_bytes = c->segment_bytes / RECORD_PAGE * RECORD_PAGE;
  return EXIT_OK;
}
