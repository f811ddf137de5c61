#include "stop.h"

#include "dispatch_client.h"
#include "exits.h"
#include "report.h"
#include "results.h"
#include "through.h"
#include "worker.h"

#define STOP_HAND_OVER_MS 5000 /* for relay-queue to take the last results */

static struct timer timer;
static int64_t dots_until;

static void expired(struct timer *t)
{
  (void)t; /* it has woken the loop, which asks stop_ready() */
}

void stop_start(void)
{
  timer_init(&timer, TIMER_STOP);
  timer_handler(TIMER_STOP, expired);
}

void stop_begin(int status)
{
  if (sched.stopping) {
    return;
  }
  sched.stopping = true;
  sched.stop_status = status;
  dots_until = sched.now + (int64_t)sched.settings.stop_seconds * 1000;
  timer_set(&timer, dots_until);
  loglines_printf(&sched.log, '=', "stop status=%d active=%u", status, jobs_active());
  through_stop();
  workers_stop();
}

void stop_failed(const char *text)
{
  report_fatal("%s", text);
  stop_begin(EXIT_TEMPORARY);
}

bool stop_ready(void)
{
  if (!sched.stopping || (jobs_active() > 0 && sched.now < dots_until)) {
    return false;
  }
  results_flush();
  if (dispatch_client_empty() || sched.now >= dots_until + STOP_HAND_OVER_MS) {
    return true;
  }
  timer_set(&timer, sched.now < dots_until ? dots_until : dots_until + STOP_HAND_OVER_MS);
  return false;
}
