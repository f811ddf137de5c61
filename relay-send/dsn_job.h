#ifndef DSN_JOB_H
#define DSN_JOB_H

#include "dsn.h"

/*
 * Takes one job off the channel (bounce.h), all parts of it. Returns 1 with a
 * job and its fd, the caller's to close; 0 at end of file; -1 on a broken
 * channel; 2 for a job that is not to be understood: job->head.serial is what
 * was said (0 if nothing), and fd is closed. rcpts has room for
 * ENVELOPE_RCPTS_MAX.
 */
int dsn_job_receive(int channel, struct dsn_job *job, int *fd);

#endif
