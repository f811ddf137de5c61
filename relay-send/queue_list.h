#ifndef QUEUE_LIST_H
#define QUEUE_LIST_H

/*
 * relay-queue -l QUEUEDIR and -x QUEUEDIR ID: read only, without the lock,
 * with or without a running relay. Return the exit status.
 */
int list_queue(const char *queue_dir);
int extract_message(const char *queue_dir, const char *id);

#endif
