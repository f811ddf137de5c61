#include "pattern.h"

#include <string.h>

bool pattern_is_action(const char *word)
{
  return word[0] == '+' || word[0] == '-';
}

static bool matches(const char *pattern, const char *line, size_t len)
{
  const char *found;
  size_t literal;

  for (;;) {
    literal = strcspn(pattern, "*");
    if (len < literal || memcmp(pattern, line, literal) != 0) {
      return false;
    }
    pattern += literal;
    line += literal;
    len -= literal;
    if (!*pattern) {
      return len == 0;
    }
    pattern++; /* the star */
    if (!*pattern) {
      return true;
    }
    /* The first occurrence and no other: a line that goes on differently there does not match.
     * What follows a star may be a star, which is looked for like any character, and then is
     * a star. */
    found = len ? memchr(line, *pattern, len) : NULL;
    if (!found) {
      return false;
    }
    len -= (size_t)(found - line);
    line = found;
  }
}

bool pattern_selects(char *const *actions, size_t count, const char *line, size_t len)
{
  bool selected = true;

  for (size_t i = 0; i < count; i++) {
    bool wanted = actions[i][0] == '+';
    if (wanted != selected && matches(actions[i] + 1, line, len)) {
      selected = wanted;
    }
  }
  return selected;
}
