#include "learn.h"

#include "memory.h"
#include "sources.h"

#include <stdio.h>
#include <stdlib.h>

enum trouble learn_kind(const struct lane *lane, const struct outcome *outcome)
{
  return replies_find(&sched.settings.replies, lane->site->name, outcome);
}

bool learn_counts(const struct lane *lane, enum trouble kind)
{
  return kind != TROUBLE_CEILING && (kind != TROUBLE_RATE || lane->rate.row >= LEARN_RATE_ROW);
}

static void note(struct lane *lane, enum trouble kind, const char *reply)
{
  struct lane_trouble *t = &lane->troubles[kind];

  free(t->reply);
  t->reply = memory_copy(reply);
  t->at = sched.wall;
  lane->last = kind;
}

static void say_trouble(const struct lane *lane, enum trouble kind, const char *facts)
{
  loglines_printf(&sched.log, '=', "trouble site=%s source=%s kind=%s %s waiting=%u reply=\"%s\"",
                  lane->site->name, sources_name(lane->source), trouble_name(kind), facts,
                  lane->ready, lane->troubles[kind].reply);
}

/* Doubled for each in a row, with a jitter of a tenth either way. */
static int64_t backoff(uint32_t row, uint64_t first_s, uint64_t most_s)
{
  uint64_t ms = first_s * 1000, most = most_s * 1000;

  for (uint32_t i = 1; i < row && ms < most; i++) {
    ms *= 2;
  }
  ms = ms < most ? ms : most;
  return (int64_t)(ms / 10 * 9 + sched_random() % (ms / 5 + 1));
}

static void fail_until(struct lane *lane, const struct outcome *outcome, int64_t ms)
{
  lane->failed_at = sched_stamp();
  if (!lane->trouble) {
    lane->trouble = memory_get(sizeof *lane->trouble);
  }
  *lane->trouble = *outcome;
  lane->trouble->verdict = VERDICT_DEFERRED; /* it is told of other mail, which it does not refuse */
  lane->trouble->status[0] = '4';
  lane_set_failing(lane, true);
  lane->probe_at = sched.now + ms;
  lane->window.open_at = 0; /* the probe has its own time */
  lane_plan(lane);
}

/* The site gives nothing. */
static void down(struct lane *lane, enum trouble kind, const struct outcome *outcome)
{
  char facts[64];

  lane->failures++;
  note(lane, kind, outcome->reply);
  fail_until(lane, outcome,
             backoff(lane->failures, sched.settings.probe_first, sched.settings.probe_max));
  snprintf(facts, sizeof facts, "failures=%u retry=%llds", lane->failures,
           (long long)(lane->probe_at - sched.now) / 1000);
  say_trouble(lane, kind, facts);
}

void lane_stranded(struct lane *lane, const struct outcome *outcome)
{
  down(lane, TROUBLE_SOURCE, outcome);
}

static void ceiling(struct lane *lane, uint64_t epoch, uint32_t given, bool sure,
                    const struct outcome *outcome)
{
  struct window *w = &lane->window;
  char facts[64];

  if (window_refused(w, epoch, given, sure, sched.now)) {
    note(lane, TROUBLE_CEILING, outcome->reply);
    snprintf(facts, sizeof facts, "ceiling=%u window=%u raise=%llds", w->ceiling, w->limit,
             (long long)w->raise_after / 1000);
    say_trouble(lane, TROUBLE_CEILING, facts);
  }
  lane_plan(lane);
}

static void too_fast(struct lane *lane, const struct lesson *l)
{
  char facts[64];

  if (l->epoch != lane->window.epoch) {
    return; /* of those that were under way together one counts */
  }
  lane->window.epoch++;
  rate_trouble(&lane->rate, sched.now, (int64_t)sched.settings.probe_first * 1000,
               (int64_t)sched.settings.probe_max * 1000);
  note(lane, TROUBLE_RATE, l->said->reply);
  snprintf(facts, sizeof facts, "rate=%u/min retry=%llds", lane->rate.per_minute,
           (long long)(lane->rate.hold - sched.now) / 1000);
  say_trouble(lane, TROUBLE_RATE, facts);
  lane_plan(lane);
}

static void blamed(struct lane *lane, uint64_t epoch, enum trouble kind,
                   const struct outcome *outcome)
{
  bool recent = lane->delivered_at > 0 && sched.now - lane->delivered_at < LEARN_RECENT_MS;
  bool about_message = outcome->stage == STAGE_RCPT || outcome->stage == STAGE_DATA ||
                       outcome->stage == STAGE_DOT;
  char facts[64];

  note(lane, kind, outcome->reply);
  if (epoch != lane->window.epoch ||
      (++lane->blamed < LEARN_BLAMED && recent && about_message)) {
    return;
  }
  lane->window.epoch++;
  lane->blamed = 0;
  lane->paused = true;
  lane->pauses++;
  fail_until(lane, outcome,
             backoff(lane->pauses, sched.settings.pause_first, sched.settings.pause_most));
  snprintf(facts, sizeof facts, "pause=%llds", (long long)(lane->probe_at - sched.now) / 1000);
  say_trouble(lane, kind, facts);
}

static void well(struct lane *lane, const char *now)
{
  if (lane->failing) {
    loglines_printf(&sched.log, '=', "site site=%s source=%s kind=%s failures=%u waiting=%u",
                    lane->site->name, sources_name(lane->source), now,
                    lane->paused ? lane->pauses : lane->failures, lane->ready);
  }
  lane_set_failing(lane, false);
  lane->paused = false;
  lane->failures = 0;
  lane_wake(lane);
}

void lane_greeted(struct lane *lane)
{
  uint32_t was = lane->window.ceiling;

  /* One that was told to quit may be gone for the site already, and this one be in its place. */
  window_greeted(&lane->window, lane->established, lane->active, sched.now);
  if (lane->window.ceiling != was) {
    loglines_printf(&sched.log, '=', "site site=%s source=%s kind=raised ceiling=%u window=%u",
                    lane->site->name, sources_name(lane->source), lane->window.ceiling,
                    lane->window.limit);
  }
  if (!lane->paused) {
    well(lane, "up");
  }
  lane_wake(lane);
}

bool lane_refused(struct lane *lane, uint64_t epoch, const struct outcome *outcome)
{
  enum trouble kind = learn_kind(lane, outcome);
  struct lesson l = {.epoch = epoch, .kind = kind, .said = outcome};

  if (kind == TROUBLE_RATE) {
    too_fast(lane, &l);
    return !learn_counts(lane, kind);
  }
  if (kind == TROUBLE_REPUTATION || kind == TROUBLE_BLOCKED) {
    blamed(lane, epoch, kind, outcome);
    return true;
  }
  if (lane->given > 0 && (kind == TROUBLE_CEILING || !lane->site->shared)) {
    ceiling(lane, epoch, lane->given, kind == TROUBLE_CEILING, outcome);
    return true;
  }
  if (lane->site->shared && kind != TROUBLE_CEILING &&
      lane->failures + 1 < LEARN_SHARED_FAILURES) {
    lane->failures++; /* one domain's host says little about a provider */
    lane->failed_at = sched_stamp();
    return false;
  }
  down(lane, kind == TROUBLE_CEILING ? kind : TROUBLE_DOWN, outcome);
  return !lane->site->shared || kind == TROUBLE_CEILING;
}

/* The window says what the signal changed; the answers' times say which signal. */
static void slowness(struct lane *lane, const struct lesson *l)
{
  const int64_t ms[SLOW_ANSWERS] = {l->ms_mail, l->ms_rcpt, l->ms_dot};
  enum slow_change change = slow_take(&lane->slow, ms, l->bytes);
  char text[128], facts[32];

  if (change == SLOW_ENDS) {
    loglines_printf(&sched.log, '=', "site site=%s source=%s kind=quick window=%u",
                    lane->site->name, sources_name(lane->source), lane->window.limit);
  }
  if ((change == SLOW_BEGINS || change == SLOW_GOES_ON) &&
      window_trouble(&lane->window, l->epoch)) {
    snprintf(text, sizeof text, "the answer to %s took %.1f s, usually %.1f s",
             slow_answer_name(&lane->slow), lane->slow.took_ms / 1000.0,
             lane->slow.usual_ms / 1000.0);
    note(lane, TROUBLE_SLOW, text);
    snprintf(facts, sizeof facts, "window=%u", lane->window.limit);
    say_trouble(lane, TROUBLE_SLOW, facts);
  }
}

static void delivered(struct lane *lane, const struct lesson *l)
{
  lane->delivered_at = sched.now;
  lane->blamed = 0;
  lane->pauses = 0;
  rate_delivered(&lane->rate, sched.now);
  if (l->ms >= 0) {
    uint32_t ms = l->ms < UINT32_MAX / 8 ? (uint32_t)l->ms : UINT32_MAX / 8;
    lane->typical_ms = lane->typical_ms ? (lane->typical_ms * 7 + ms + 4) / 8 : ms;
    lane->typical_ms += lane->typical_ms == 0;
  }
  if (l->deferred + l->failed == 0) {
    slowness(lane, l);
  }
  if (!lane->slow.on) {
    window_success(&lane->window, l->in_use, sched.now);
  }
}

static void broken(struct lane *lane, const struct lesson *l)
{
  char facts[32];

  if (window_trouble(&lane->window, l->epoch)) {
    note(lane, TROUBLE_BROKEN, l->said ? l->said->reply : "the connection ended");
    snprintf(facts, sizeof facts, "window=%u", lane->window.limit);
    say_trouble(lane, TROUBLE_BROKEN, facts);
  }
}

/* A reply that is not about us shows that the site talks to us again. */
static bool talks(const struct lesson *l)
{
  return l->kind == TROUBLE_NONE && !l->broken && l->delivered + l->deferred + l->failed > 0;
}

void lane_learn(struct lane *lane, const struct lesson *l)
{
  uint32_t others = lane->given - (l->given && lane->given > 0);

  if (l->delivered > 0) {
    delivered(lane, l);
  }
  if (l->epoch == lane->window.epoch && (l->delivered > 0 || talks(l))) {
    well(lane, lane->paused ? "heard" : "up");
  }
  if (l->kind == TROUBLE_RATE) {
    too_fast(lane, l);
  } else if (l->kind == TROUBLE_REPUTATION || l->kind == TROUBLE_BLOCKED) {
    blamed(lane, l->epoch, l->kind, l->said);
  } else if (l->kind == TROUBLE_CEILING && others > 0) {
    if (l->epoch == lane->window.epoch) {
      window_doubt(&lane->window, others);
    }
    ceiling(lane, l->epoch, others, true, l->said);
  } else if (l->kind == TROUBLE_CEILING) {
    down(lane, TROUBLE_CEILING, l->said);
  } else if (l->broken) {
    broken(lane, l);
  }
  if (lane->paused && sched.now >= lane->probe_at) {
    /* The probe has shown nothing: once more, after a while. */
    lane->probe_at = sched.now + backoff(1, sched.settings.probe_first, sched.settings.probe_max);
    lane_plan(lane);
  }
}
