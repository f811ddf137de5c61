#ifndef LOG_SERVICE_H
#define LOG_SERVICE_H

/*
 * The log directories that a command line means. Of each name: that directory
 * of multilog, or its smtpd and send (as a sandbox's log/ has them), or main
 * below one of these (a service's log/). Without names, those of the
 * installed services. add() is given each as a malloced real path. Ends the
 * program with a message if one cannot be read.
 */
void log_services(char **names, void (*add)(void *argument, char *directory), void *argument);

#endif
