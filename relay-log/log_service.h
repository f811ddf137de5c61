#ifndef LOG_SERVICE_H
#define LOG_SERVICE_H

#include <stdbool.h>

/*
 * The log directories that a command line means. Of each name: that directory
 * of multilog, or its smtpd and send (as a sandbox's log/ has them), or main
 * below one of these (a service's log/). Without names, those of the
 * installed services. add() is given each as a malloced real path. Ends the
 * program with a message if one cannot be read.
 *
 * A directory without a log is told of. Who reads what is there (waits false)
 * ends with that if none has one; who follows waits for the first line.
 */
void log_services(char **names, bool waits, void (*add)(void *argument, char *directory),
                  void *argument);

#endif
