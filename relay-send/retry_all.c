#include "retry_all.h"

#include "message.h"
#include "schedule.h"

#define RETRY_MESSAGES_A_TURN 1000

static struct list_cursor cursor;
static bool working;

void retry_all_start(void)
{
  working = false;
}

void retry_all_begin(void)
{
  if (working) {
    list_close(&messages, &cursor);
  }
  list_open(&messages, &cursor);
  working = true;
  loglines_printf(&sched.log, '=', "retry messages=%llu", (unsigned long long)sched.messages);
}

bool retry_all_run(void)
{
  for (int n = 0; working && n < RETRY_MESSAGES_A_TURN && !sched_results_full(); n++) {
    struct list_node *node = list_step(&messages, &cursor);
    if (!node) {
      list_close(&messages, &cursor);
      working = false;
      break;
    }
    struct message *m = LIST_ITEM(node, struct message, all);
    bool was_open = m->notice_open;
    m->notice_open = 1; /* a recipient may fail at once: not with the message under our feet */
    for (uint16_t i = 0; i < m->rcpt_count; i++) {
      schedule_retry(&m->rcpts[i]);
    }
    m->notice_open = was_open;
    message_release(m);
  }
  return working && !sched_results_full();
}
