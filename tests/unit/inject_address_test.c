#include "inject_address.h"

#include "check.h"

static char joined[4096];

static int collect(void *arg, const char *address, size_t end)
{
  size_t n = strlen(joined);

  snprintf(joined + n, sizeof joined - n, "%s%s%s", n ? " " : "", address, end ? "*" : "");
  return arg && strcmp(arg, address) == 0 ? 7 : 0;
}

/* "*" marks an address that got the default domain; "!" a malformed list. */
static const struct {
  const char *list, *found;
} table[] = {
  {"", ""},
  {" , ,", ""},
  {"a@b.example", "a@b.example"},
  {"a@B.Example", "a@b.example"},
  {"joe", "joe@d.example*"},
  {"joe, a@b.example,ann", "joe@d.example* a@b.example ann@d.example*"},
  {"Joe <joe>", "joe@d.example*"},
  {"\"Doe, Joe\" <joe@b.example>", "joe@b.example"},
  {"Joe Q. Public <joe@b.example>", "joe@b.example"},
  {"joe@b.example (Joe (the \\) man) Doe)", "joe@b.example"},
  {"(c)joe(c)@(c)b(c).example(c)", "joe@b.example"},
  {"joe . doe @ b . example", "joe.doe@b.example"},
  {"<@r1,@r2:joe@b.example>", "joe@b.example"},
  {"Team: a@b.example, c;", "a@b.example c@d.example*"},
  {"undisclosed-recipients:;", ""},
  {"Team: a@b.example;, x@b.example", "a@b.example x@b.example"},
  {"a@b.example,\r\n\tc@b.example", "a@b.example c@b.example"},
  {"\"a b\"@b.example", "\"a b\"@b.example"},
  {"\"a@b\"@b.example", "\"a@b\"@b.example"},
  {"a@[192.0.2.1]", "a@[192.0.2.1]"},
  {"<>", ""},
  {"gr\xc3\xbc\xc3\x9f@b.example", "gr\xc3\xbc\xc3\x9f@b.example"},
  {"=?utf-8?q?J=C3=B6e?= <joe@b.example>", "joe@b.example"},
  {"a b@c.example", "!"},
  {"a@b.example c@b.example", "!"},
  {"<a@b.example> c", "!"},
  {"<a@b.example", "!"},
  {"a@b.example>", "!"},
  {"(open", "!"},
  {"\"open", "!"},
  {"a@[192.0.2.1", "!"},
  {"a@@b", "!"},
  {"@b.example", "!"},
  {"a@", "!"},
  {"a;b", "!"},
  {"A: b: c;", "!"},
  {"<a<b>>", "!"},
  {"<a,b>", "!"},
  {"a\\b@c.example", "!"},
  {"a\x01@b.example", "!"},
  {"\xff@b.example", "!"},
};

static void check_table(void)
{
  const char *why;

  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    joined[0] = '\0';
    int r = inject_address_list(table[i].list, strlen(table[i].list), "d.example", collect, NULL, &why);
    CHECK_STR(r == 0 ? joined : "!", table[i].found);
    CHECK((r == 0) == (*why == '\0'));
  }
}

int main(void)
{
  const char *why;
  char long_local[2000];

  check_table();
  joined[0] = '\0';
  CHECK_INT(inject_address_list("a@b,c@d,e@f", 11, "d", collect, "c@d", &why), 7);
  CHECK_STR(joined, "a@b c@d");
  memset(long_local, 'x', sizeof long_local);
  CHECK_INT(inject_address_list(long_local, sizeof long_local, "d", collect, NULL, &why), -1);
  CHECK_INT(inject_address_list("a\0b@c", 5, "d", collect, NULL, &why), -1);
  return check_done("inject_address");
}
