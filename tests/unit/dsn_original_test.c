#include "dsn.h"

#include "check.h"

static const struct {
  const char *in, *out, *message_id;
} table[] = {
  {"", "", ""},
  {"A: b\r\n\r\nC: d\r\n", "A: b\r\n", ""},
  {"A: b\r\n c\r\n\td\r\n\r\n", "A: b\r\n c\r\n\td\r\n", ""},
  {"A: b\nC: d\n\n", "A: b\r\nC: d\r\n", ""},
  {"A: b\r\nnot a field\r\nC: d\r\n", "A: b\r\n", ""},
  {"A: b\r\nC: cut", "A: b\r\n", ""},
  {" A: b\r\n", "", ""},
  {": b\r\n", "", ""},
  {"A : b\r\n", "A : b\r\n", ""},
  {"A: \x01\x1b\x7f\rx\r\n", "A: ????x\r\n", ""},
  {"Message-ID: <a@b>\r\n", "Message-ID: <a@b>\r\n", "<a@b>"},
  {"MESSAGE-ID:\t<a@b> \r\nMessage-ID: <c@d>\r\n", "MESSAGE-ID:\t<a@b> \r\nMessage-ID: <c@d>\r\n",
   "<a@b>"},
  {"Message-ID: <a b>\r\n", "Message-ID: <a b>\r\n", ""},
  {"Message-ID: <a>,<b>\r\n", "Message-ID: <a>,<b>\r\n", ""},
  {"Message-ID: a@b\r\n", "Message-ID: a@b\r\n", ""},
  {"Message-ID: <\xc3\xbc>\r\n", "Message-ID: <\xc3\xbc>\r\n", ""},
};

int main(void)
{
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct dsn_original o = {.bytes = BUF_INIT(10000)};
    CHECK_INT(dsn_original_header(&o, table[i].in, strlen(table[i].in)), 0);
    CHECK_STR(buf_cstr(&o.bytes), table[i].out);
    CHECK_STR(o.message_id, table[i].message_id);
    CHECK_INT(o.eight_bit, strchr(table[i].out, '\xc3') != NULL);
    buf_free(&o.bytes);
  }
  struct dsn_original none = {.bytes = BUF_INIT(10000)};
  CHECK_INT(dsn_original_read(&none, -1, 0, 100, 0), -1);
  buf_free(&none.bytes);
  return check_done("dsn_original");
}
