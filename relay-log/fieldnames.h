#ifndef FIELDNAMES_H
#define FIELDNAMES_H

#include <stdbool.h>
#include <stddef.h>

/* What a header field is, and which are wanted: relay-log's -h. */

#define FIELDNAMES_MAX 128 /* names in a list */

struct fieldnames {
  bool all;
  size_t count;
  struct fieldname {
    const char *name; /* in the caller's text */
    size_t len;
    bool prefix; /* the list has "X-*" */
  } names[FIELDNAMES_MAX];
};

/*
 * A list like "From,To,X-*"; text NULL: every field; empty: none. Keeps
 * pointers into text. NULL, or why the list is none.
 */
const char *fieldnames_parse(struct fieldnames *f, const char *text);

/*
 * The length of the name when line is a header field "Name: ..." (RFC 5322
 * 2.2; blanks before the colon are obsolete syntax, 4.5), else 0.
 */
size_t fieldnames_length(const char *line, size_t len);

bool fieldnames_wanted(const struct fieldnames *f, const char *name, size_t len);

#endif
