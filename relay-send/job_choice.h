#ifndef JOB_CHOICE_H
#define JOB_CHOICE_H

#include "job.h"

struct flow;

/*
 * Which recipients make the next job of a lane.
 *
 * job_choose(): the first recipient in the flow; but if an idle connection (then
 * in *w) fits one that is not far behind it, that one, because at a provider of
 * many hosts each domain has its own, and a warm connection is worth a small
 * change of order.
 */
struct rcpt *job_choose(const struct lane *lane, const struct flow *flow, struct worker **w);

/* False: it did not belong here (any more), and has gone to where it does. */
bool job_belongs(const struct lane *lane, struct rcpt *r);

/* r and others of its message that can go along, out of their flow and into the job. Charges the flow. */
void job_collect(struct job *job, struct rcpt *r, const struct worker *w);

#endif
