#ifndef CTL_STAT_PRINT_H
#define CTL_STAT_PRINT_H

#include "ctl_print.h"

/*
 * What relay-ctl makes of the sites of stat: the worst come first, whatever
 * order relay-send has them in. So all others wait, as the datagrams they came
 * in, until the last site is here.
 */
enum ctl_rank {
  CTL_RANK_STOPPED, /* nothing goes there: down, paused, no source, held */
  CTL_RANK_BOUND,   /* mail waits for a rate, a ceiling, a window */
  CTL_RANK_USED,    /* mail or connections */
  CTL_RANK_QUIET,   /* only what has been learnt */
  CTL_RANKS
};

enum ctl_rank ctl_site_rank(const struct ctl_row *row);

/* Keeps a datagram of that rank; gives each back, the worst first: 0, or -1 at the end. */
void ctl_rank_keep(enum ctl_rank rank, const char *data, size_t len);
int ctl_rank_next(const char **data, size_t *len);

/* What stands below a domain or a site, for people; malloc'ed, or NULL. */
char *ctl_stat_note(const struct ctl_row *row, int64_t now);

#endif
