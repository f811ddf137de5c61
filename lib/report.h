#ifndef REPORT_H
#define REPORT_H

#include <stdarg.h>

/*
 * Diagnostics of a program about itself, one line on fd 2 each:
 *
 *   relay-queue: fatal: unable to open queue/lock: Permission denied
 *   relay-queue: warning: ...
 *
 * A line is one write(2) of at most 4096 bytes, control bytes escaped.
 * errno is kept.
 */

/* Names the program; call it first in main(). The string is not copied. */
void report_program(const char *name);
const char *report_name(void);

void report_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with ": " and strerror(errno) at the end. */
void report_warning_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_fatal_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
