#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Which lines pass, in multilog's own language: each line is selected at
 * first, "-PATTERN" deselects it if it matches, "+PATTERN" selects it, in
 * order, so the last that matches wins. A pattern is the whole line; "*" in it
 * is any text without the character that follows in the pattern, and at the
 * end any text.
 *
 * multilog looks at a line's first 1000 characters; this at all that it is
 * given.
 */

/* Is this word an action of the language? What is not begins another command. */
bool pattern_is_action(const char *word);

/* Do the actions select this line? With none of them: yes. */
bool pattern_selects(char *const *actions, size_t count, const char *line, size_t len);

#endif
