#ifndef LEARN_H
#define LEARN_H

#include "lane.h"

/*
 * What a lane makes of what its connections have seen. Five signals, told apart
 * by control/replies, by how a connection ended, and by the clock:
 *
 *   too many connections  the ceiling is learnt (window.h); the recipients go
 *                         back to the head of their flow
 *   too fast              a rate is learnt (rate.h); the same
 *   our reputation        the lane is paused for control/pausefirst seconds,
 *                         doubled each time up to control/pausemax; then one
 *                         transaction at a time probes
 *   slowness              the window is halved while answers stay slow (slow.h)
 *   a broken connection   the window is halved
 *
 * One message may be to blame for a reply about our reputation that comes after
 * its RCPT: where the lane has delivered others in the last minute it takes
 * three without a delivery in between.
 */
#define LEARN_BLAMED 3
#define LEARN_RECENT_MS 60000
#define LEARN_RATE_ROW 5 /* complaints without a delivery: from here on recipients are deferred */
#define LEARN_SHARED_FAILURES 5 /* in a row, before a provider as a whole is failing */

/* What a transaction has shown of the site. */
struct lesson {
  uint64_t epoch;  /* window.epoch at its start */
  uint32_t in_use; /* connections busy, its own too */
  uint16_t delivered, deferred, failed;
  bool broken;     /* the connection ended in it, and nothing was delivered */
  bool given;      /* the connection counts in lane.given */
  enum trouble kind; /* of the reply that speaks of us, if one did */
  const struct outcome *said; /* that reply; NULL if kind is none */
  int64_t ms;      /* all of it, -1: not known */
  int64_t ms_mail, ms_rcpt, ms_dot; /* the slowest reply of that kind, -1 for none */
  uint64_t bytes;
};

/* What a reply of this lane's site is about. */
enum trouble learn_kind(const struct lane *lane, const struct outcome *outcome);

/*
 * Does the attempt count for its recipients? False: the reply says so little
 * about them that they go back to the head of their flow.
 */
bool learn_counts(const struct lane *lane, enum trouble kind);

/* A transaction has ended; one that we cancelled shows nothing. */
void lane_learn(struct lane *lane, const struct lesson *lesson);

/*
 * No connection was had, for an attempt that started in epoch. True: it says
 * something of the lane, the recipients stay ready; false: only of one domain's
 * host at a provider, or a rate complained of so often that it must count as an
 * attempt, and they are deferred.
 */
bool lane_refused(struct lane *lane, uint64_t epoch, const struct outcome *outcome);

/* No connection can be tried, by a fault of our own: the lane is failing, looked at as seldom. */
void lane_stranded(struct lane *lane, const struct outcome *outcome);

/* A connection was greeted. */
void lane_greeted(struct lane *lane);

#endif
