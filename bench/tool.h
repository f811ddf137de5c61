#ifndef TOOL_H
#define TOOL_H

#include "loop.h"

#include <netinet/in.h>
#include <stdint.h>

/*
 * What the tools of bench/ share: a clock and timers in microseconds on one
 * event loop, an event log, addresses and numbers of the command line. They
 * end with 111 when something is missing, with 100 when used wrongly.
 */

int64_t tool_now(void); /* CLOCK_MONOTONIC in microseconds, Python's time.monotonic() */

/* Embedded in its owner; set again and again, due once each time. */
struct tool_timer {
  void (*due)(struct tool_timer *timer);
  uint32_t place; /* tool.c's own */
};
void tool_timer_init(struct tool_timer *timer, void (*due)(struct tool_timer *timer));
void tool_timer_set(struct tool_timer *timer, int64_t when); /* moves it if it is set */
void tool_timer_clear(struct tool_timer *timer);

/* The loop: timers, SIGTERM and SIGINT end it; turn (or NULL) runs at the end of each turn. */
extern struct loop tool_loop;
void tool_start(void (*turn)(void));
void tool_run(void); /* until tool_loop.stop */
void tool_watch(struct loop_watch *watch);
void tool_rewatch(struct loop_watch *watch, uint32_t events);

/* A line in the log, its newline added; written at the end of the turn. */
void tool_log_open(const char *path);
void tool_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tool_log_flush(void);

_Noreturn void tool_die(const char *what); /* "program: fatal: unable to WHAT: reason" */
_Noreturn void tool_usage(const char *text);
struct sockaddr_in tool_address(const char *text); /* "127.0.0.1:25", or "127.0.0.1": port 0 */
uint64_t tool_number(const char *what, const char *text, uint64_t max);
void tool_raise_files(void); /* as many descriptors as the hard limit allows */

#endif
