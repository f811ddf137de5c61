/* pattern.c: multilog's language. tests/system/log_patterns.py holds it against multilog itself. */
#include "pattern.h"

#include "check.h"
#include "fieldnames.h"

#include <stdlib.h>
#include <string.h>

static int selects(const char *line, char *first, char *second, char *third)
{
  char *actions[] = {first, second, third};
  size_t count = third ? 3 : second ? 2 : first ? 1 : 0;

  return pattern_selects(actions, count, line, strlen(line));
}

static int matches(char *pattern, const char *line)
{
  return !selects(line, pattern, NULL, NULL);
}

static void test_match(void)
{
  CHECK(matches("-hello", "hello"));
  CHECK(!matches("-hello", "hello world"));
  CHECK(!matches("-hello", "hell"));
  CHECK(matches("-", ""));
  CHECK(!matches("-", "x"));
  CHECK(matches("-*", ""));
  CHECK(matches("-*", "anything"));
  CHECK(matches("-named[*]: Cleaned cache *", "named[135]: Cleaned cache of 3121 RRs"));
  /* A star ends at the first occurrence of what follows it, and does not try the next. */
  CHECK(matches("-*b", "aab"));
  CHECK(!matches("-*b", "abb"));
  CHECK(!matches("-*bc", "abbc"));
  CHECK(matches("-* < From:*", "19799 < From: a@b"));
  CHECK(!matches("-* < From:*", "@4000 19799 < From: a@b"));
  /* The second star of two is looked for as a character, and then is a star again. */
  CHECK(matches("-a**", "ab*c"));
  CHECK(!matches("-a**", "abc"));
  CHECK(matches("-x*", "x"));
  CHECK(!matches("-x*y", "x"));
}

static void test_long(void)
{
  enum { LEN = 60000 };
  char *line = malloc(LEN), *actions[] = {"-*", "+*: the end"};

  memset(line, 'x', LEN);
  memcpy(line + LEN - 9, ": the end", 9);
  CHECK(pattern_selects(actions, 2, line, LEN)); /* multilog would see the first 1000 */
  free(line);
}

static void test_order(void)
{
  CHECK(selects("a", NULL, NULL, NULL));
  CHECK(!selects("a", "-*", NULL, NULL));
  CHECK(selects("a", "-*", "+a", NULL));
  CHECK(!selects("a", "-*", "+a", "-a"));
  CHECK(selects("a", "+a", NULL, NULL));
  CHECK(!selects("b", "-*", "+a", NULL));
  CHECK(pattern_is_action("-x") && pattern_is_action("+") && !pattern_is_action("multilog") &&
        !pattern_is_action("./run") && !pattern_is_action(""));
}

static int wanted(const char *list, const char *name)
{
  struct fieldnames f;

  return !fieldnames_parse(&f, list) && fieldnames_wanted(&f, name, strlen(name));
}

static void test_names(void)
{
  struct fieldnames f;

  CHECK(wanted(NULL, "Anything"));
  CHECK(!wanted("", "From"));
  CHECK(wanted("From,To", "from") && wanted("From,To", "TO") && !wanted("From,To", "T"));
  CHECK(!wanted("From", "FromX") && wanted("From,X-*", "x-mailer") && !wanted("X-*", "X"));
  CHECK(wanted("X-*", "X-"));
  CHECK_STR(fieldnames_parse(&f, "From,,To"), "not a header name");
  CHECK_STR(fieldnames_parse(&f, "From:"), "not a header name");
  CHECK_STR(fieldnames_parse(&f, "Fr om"), "not a header name");
  CHECK_STR(fieldnames_parse(&f, "*"), "not a header name");
  CHECK_STR(fieldnames_parse(&f, "From,"), "a name is missing behind the last comma");
  CHECK_INT(fieldnames_length("From: x", 7), 4);
  CHECK_INT(fieldnames_length("From  : x", 9), 4);
  CHECK_INT(fieldnames_length("Fr om: x", 8), 0);
  CHECK_INT(fieldnames_length(": x", 3), 0);
  CHECK_INT(fieldnames_length(" From: x", 8), 0);
  CHECK_INT(fieldnames_length("From", 4), 0);
  CHECK_INT(fieldnames_length("", 0), 0);
}

int main(void)
{
  test_match();
  test_long();
  test_order();
  test_names();
  return check_done("pattern");
}
