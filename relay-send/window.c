#include "window.h"

void window_init(struct window *w, uint32_t initial, uint32_t most, uint64_t raise_first,
                 uint64_t raise_most)
{
  *w = (struct window){.most = most};
  w->limit = initial < most ? initial : most;
  window_set_raise(w, raise_first, raise_most);
  w->raise_after = w->raise_first;
}

void window_set_raise(struct window *w, uint64_t first, uint64_t most)
{
  w->raise_first = (int64_t)first * 1000;
  w->raise_most = (int64_t)(most > first ? most : first) * 1000;
  w->raise_after = w->raise_after < w->raise_most ? w->raise_after : w->raise_most;
}

void window_set_most(struct window *w, uint32_t most)
{
  w->most = most;
  w->limit = w->limit < most ? w->limit : most;
}

/* How many of them are used when a ceiling is known. */
static uint32_t usable(const struct window *w)
{
  return w->lingers && w->ceiling >= WINDOW_MARGIN_FROM ? w->ceiling - 1 : w->ceiling;
}

/* At most a quarter more than was given before, or two. */
static bool too_far(const struct window *w)
{
  uint32_t step = w->proven / 4 > 2 ? w->proven / 4 : 2;

  return w->proven > 0 && w->limit >= w->proven + step;
}

static bool at_ceiling(const struct window *w)
{
  return w->ceiling > 0 && w->limit >= usable(w);
}

static bool may_grow(const struct window *w, uint32_t in_use, int64_t now)
{
  /* A window that is not used says nothing about what it could be. */
  if (in_use < w->limit || w->limit >= w->most || too_far(w)) {
    return false;
  }
  return !at_ceiling(w) || (now >= w->raise_at && w->limit <= w->ceiling);
}

static void grow(struct window *w, int64_t now)
{
  if (at_ceiling(w)) { /* one above it is tried */
    w->limit = w->ceiling;
    w->raise_at = now + w->raise_after;
  }
  w->credit = 0;
  w->limit++;
  w->limit = w->limit < w->most ? w->limit : w->most;
}

bool window_greeted(struct window *w, uint32_t given, uint32_t in_use, int64_t now)
{
  w->row = 0;
  w->open_at = 0;
  w->proven = given > w->proven ? given : w->proven;
  if (w->ceiling > 0 && given > w->ceiling) {
    w->ceiling = given;
    w->raise_after = w->raise_after / 2 > w->raise_first / 8 ? w->raise_after / 2 : w->raise_first / 8;
    w->raise_at = now + w->raise_after;
    w->limit = w->limit < given && given <= w->most ? given : w->limit;
    return true;
  }
  if (w->steady == 0 && may_grow(w, in_use, now)) {
    grow(w, now);
    return true;
  }
  return false;
}

bool window_success(struct window *w, uint32_t in_use, int64_t now)
{
  if (!may_grow(w, in_use, now)) {
    return false;
  }
  if (w->steady && w->limit >= w->steady && ++w->credit < w->limit) {
    return false;
  }
  grow(w, now);
  return true;
}

bool window_trouble(struct window *w, uint64_t epoch)
{
  if (epoch != w->epoch) {
    return false; /* an attempt from before the last lesson: that was its answer */
  }
  w->epoch++;
  w->credit = 0;
  w->limit = w->limit > 1 ? w->limit / 2 : 1;
  w->steady = w->limit;
  return true;
}

void window_doubt(struct window *w, uint32_t given)
{
  w->proven = given < w->proven ? given : w->proven;
}

static void delay_next(struct window *w, int64_t now)
{
  int64_t ms = WINDOW_REOPEN_MS;

  for (uint32_t i = 1; i < w->row && ms < WINDOW_REOPEN_MOST; i++) {
    ms *= 2;
  }
  w->open_at = now + ms;
}

bool window_refused(struct window *w, uint64_t epoch, uint32_t given, bool sure, int64_t now)
{
  if (epoch != w->epoch) {
    return false; /* of those that were under way together one counts */
  }
  w->epoch++;
  w->row++;
  delay_next(w, now);
  given = given > 0 ? given : 1;
  if (sure && given < w->ceiling && w->limit >= w->ceiling) {
    w->lingers = true;
    w->limit = usable(w);
  }
  if (w->row < 2 && (given < w->proven || (!sure && (w->ceiling == 0 || given < w->ceiling)))) {
    return false;
  }
  if (w->ceiling > 0 && given >= w->ceiling) {
    w->raise_after = w->raise_after * 2 < w->raise_most ? w->raise_after * 2 : w->raise_most;
  }
  w->row = 0;
  w->ceiling = w->proven = given;
  w->credit = 0;
  w->limit = usable(w) < w->most ? usable(w) : w->most;
  w->steady = w->limit;
  w->raise_at = now + w->raise_after;
  return true;
}
