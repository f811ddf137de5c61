#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Control files, as in qmail: control/NAME holds one value (its first line)
 * or a list (a line each). In a list, blank lines and lines that begin with
 * "#" are skipped; blanks at the end of a line are dropped. A missing file is
 * the default. Names are relative to the directory that home_enter() entered.
 *
 * Every function returns CONTROL_OK, CONTROL_MISSING (value left as the
 * caller set it), CONTROL_MALFORMED, or CONTROL_UNREADABLE; for the last two
 * control_error() is a sentence that names file, line and reason.
 */
enum control_result { CONTROL_OK, CONTROL_MISSING, CONTROL_MALFORMED, CONTROL_UNREADABLE };

#define CONTROL_LINE_MAX 1000       /* bytes in a line */
#define CONTROL_FILE_MAX (64 << 20) /* bytes in a file */

/* The last failure, e.g. "control/lifetime:1: not a number from 1 to 31536000: abc". */
const char *control_error(void);
/* For parsers of list lines: records a failure of that line. */
enum control_result control_fail(const char *name, unsigned line, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

enum control_result control_line(const char *name, char *value, size_t size);
enum control_result control_u64(const char *name, uint64_t min, uint64_t max, uint64_t *value);
/* A duration or size list such as control/retry: numbers separated by blanks or newlines. */
enum control_result control_u64_list(const char *name, uint64_t min, uint64_t max,
                                     uint64_t *values, size_t capacity, size_t *count);

struct control_list {
  char *text;       /* the file, lines NUL-terminated */
  char **lines;     /* into text */
  unsigned *number; /* the line's number in the file, from 1 */
  size_t count;
};
enum control_result control_list(const char *name, struct control_list *list);
void control_list_free(struct control_list *list);

/* control/me: this host's name. Default: the host name, if it is a valid domain, else localhost. */
enum control_result control_me(char *value, size_t size);

/*
 * Is key in the list NAME? If control/NAME.cdb exists, it is asked (an exact
 * key), else the lines of control/NAME, without regard to ASCII case.
 */
enum control_result control_contains(const char *name, const char *key, bool *found);

/*
 * The same for a list of lines that begin with a name, such as sources: is
 * there a line of that name? Case counts. A cdb has the names as its keys.
 */
enum control_result control_contains_name(const char *name, const char *key, bool *found);

/*
 * The qmail way to match a domain against a list: the domain itself, then
 * each ".suffix" of it. For rcpthosts.
 */
enum control_result control_contains_domain(const char *name, const char *domain, bool *found);

/*
 * The same lists opened once and asked often, by a program that cannot open
 * files later. A missing list is CONTROL_MISSING and a NULL lookup, which
 * contains nothing. A cdb is mapped into memory; its changes are not seen.
 */
struct control_lookup;
enum control_result control_lookup_open(const char *name, struct control_lookup **lookup);
enum control_result control_lookup_has(struct control_lookup *l, const char *key, bool *found);
enum control_result control_lookup_has_domain(struct control_lookup *l, const char *domain,
                                              bool *found);
void control_lookup_close(struct control_lookup *l);

#endif
