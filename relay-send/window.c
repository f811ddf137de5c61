#include "window.h"

void window_init(struct window *w, uint32_t initial, uint32_t most)
{
  *w = (struct window){.most = most};
  w->limit = initial < most ? initial : most;
}

void window_set_most(struct window *w, uint32_t most)
{
  w->most = most;
  w->limit = w->limit < most ? w->limit : most;
}

bool window_success(struct window *w, uint32_t in_use)
{
  /* A window that is not used says nothing about what it could be. */
  if (in_use < w->limit || w->limit >= w->most) {
    return false;
  }
  if (w->steady && w->limit >= w->steady && ++w->credit < w->limit) {
    return false;
  }
  w->credit = 0;
  w->limit++;
  return true;
}

void window_trouble(struct window *w, uint64_t epoch)
{
  if (epoch != w->epoch) {
    return; /* an attempt from before the last halving: that was its answer */
  }
  w->epoch++;
  w->credit = 0;
  w->limit = w->limit > 1 ? w->limit / 2 : 1;
  w->steady = w->limit;
}

void window_refused(struct window *w, uint32_t established)
{
  w->epoch++;
  w->credit = 0;
  w->limit = established > 0 ? established : 1;
  w->limit = w->limit < w->most ? w->limit : w->most;
  w->steady = w->limit;
}
