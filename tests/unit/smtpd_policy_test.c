/* rules and policy: environment and control files in a directory of the test's own. */
#include "policy.h"

#include "check.h"

#include <cdb.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const variables[] = {
  "RELAYCLIENT", "RELAYTENANT", "RELAYPRIORITY", "DATABYTES",
  "RELAYBARELF", "RELAYMODE", "RELAYSOURCE", "TCPREMOTEIP", "TCPREMOTEPORT", "TCPREMOTEHOST", "TCPLOCALIP"};
static const char *const files[] = {"me",        "rcpthosts", "rcpthosts.cdb", "badmailfrom",
                                    "badrcptto", "databytes", "timeoutsmtpd",  "postmaster",
                                    "sources", "sources.cdb"};

static void put(const char *name, const char *text)
{
  char path[100];

  snprintf(path, sizeof path, "control/%s", name);
  FILE *f = fopen(path, "w");
  if (f) {
    fputs(text, f);
    fclose(f);
  }
}

static void clear(void)
{
  char path[100];

  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    unsetenv(variables[i]);
  }
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, "control/%s", files[i]);
    unlink(path);
  }
  put("me", "relay.test\n");
}

static void check_environment(void)
{
  static const struct {
    const char *name, *value;
    bool good;
  } cases[] = {
    {"RELAYCLIENT", "", true},
    {"RELAYCLIENT", ".via.example", true},
    {"RELAYCLIENT", "@fixme", false},
    {"RELAYCLIENT", " x", false},
    {"RELAYTENANT", "msa1", true},
    {"RELAYTENANT", "", false},
    {"RELAYTENANT", "a b", false},
    {"RELAYPRIORITY", "0", true},
    {"RELAYPRIORITY", "99", true},
    {"RELAYPRIORITY", "100", false},
    {"RELAYPRIORITY", "", false},
    {"DATABYTES", "0", true},
    {"DATABYTES", "10000000", true},
    {"DATABYTES", "99999999999", false},
    {"DATABYTES", "-1", false},
    {"RELAYBARELF", "normalize", true},
    {"RELAYBARELF", "refuse", true},
    {"RELAYBARELF", "", false},
    {"RELAYMODE", "mx", true},
    {"RELAYMODE", "", false},
    {"RELAYMODE", "transparent", false}, /* fd 0 is no connection */
    {"RELAYMODE", "Transparent", false},
    {"RELAYSOURCE", "out1", true},
    {"RELAYSOURCE", "Out1", false},
    {"RELAYSOURCE", "out", false},
    {"RELAYSOURCE", "out1 192.0.2.1", false},
    {"RELAYSOURCE", "", false},
    {"RELAYSOURCE", "#", false},
    {"TCPREMOTEIP", "::ffff:192.0.2.1", true},
    {"TCPREMOTEIP", "x", false},
    {"TCPREMOTEPORT", "65536", false},
    {"TCPREMOTEHOST", "a_b c", true},
    {"TCPLOCALIP", "x", true},
  };
  struct rules r;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    clear();
    put("sources", "# out\nout1 192.0.2.1 - -\nout2\t192.0.2.2 - -\n");
    setenv(cases[i].name, cases[i].value, 1);
    int result = rules_load(&r);
    if (result != (cases[i].good ? 0 : -1)) {
      fprintf(stderr, "  (%s=%s)\n", cases[i].name, cases[i].value);
    }
    CHECK_INT(result, cases[i].good ? 0 : -1);
    CHECK(result == 0 || strstr(rules_error(), cases[i].name));
    rules_free(&r);
  }
}

static void check_values(void)
{
  struct rules r;

  clear();
  setenv("TCPREMOTEIP", "::ffff:192.0.2.1", 1);
  setenv("TCPREMOTEHOST", "a_b c", 1);
  put("databytes", "1000\n");
  put("timeoutsmtpd", "20\n");
  CHECK_INT(rules_load(&r), 0);
  CHECK_STR(r.tenant, "192.0.2.1");
  CHECK_STR(r.client_text, "192.0.2.1");
  CHECK_STR(r.client_host, "");
  CHECK_INT(r.databytes, 1000);
  CHECK_INT(r.timeout_ms, 20000);
  CHECK_INT(r.priority, 50);
  CHECK(!r.relay && !r.normalize);
  rules_free(&r);
  setenv("DATABYTES", "0", 1);
  CHECK_INT(rules_load(&r), 0);
  CHECK(r.databytes > 2000000000u && r.databytes < INT32_MAX + 1ull);
  rules_free(&r);
  put("timeoutsmtpd", "0\n");
  CHECK_INT(rules_load(&r), -1);
  CHECK(strstr(rules_error(), "control/timeoutsmtpd:1:"));
}

/* The reply's code and status, "" for yes. */
static void check_answer(const char *reply, const char *expected)
{
  char head[10] = "";

  if (reply) {
    snprintf(head, sizeof head, "%.9s", reply);
  }
  CHECK_STR(head, expected);
}

static void check_recipients(void)
{
  static const struct {
    const char *address, *reply, *out;
  } cases[] = {
    {"a@example.com", "", "a@example.com"},
    {"a@sub.example.com", "550 5.7.1", ""},
    {"a@sub.example.net", "", "a@sub.example.net"},
    {"a@example.net", "550 5.7.1", ""},
    {"\"x@example.com\"@other.example", "550 5.7.1", ""},
    {"a", "553 5.1.3", ""},
    {"\"a@example.com\"", "553 5.1.3", ""},
    {"PostMaster", "", "root@admin.example"},
    {"bad@example.com", "550 5.7.1", ""},
    {"x@listed.example.net", "550 5.7.1", ""},
    {"a@[192.0.2.1]", "550 5.7.1", ""},
  };
  char out[ADDRESS_SIZE];
  struct rules r;

  clear();
  put("rcpthosts", "example.com\n.example.net\n");
  put("badrcptto", "Bad@example.com\n@listed.example.net\n");
  put("postmaster", "root@admin.example\n");
  CHECK_INT(rules_load(&r), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *reply = policy_recipient(&r, cases[i].address, out);
    check_answer(reply, cases[i].reply);
    if (!reply) {
      CHECK_STR(out, cases[i].out);
    }
  }
  rules_free(&r);
}

static void check_suffix(void)
{
  char out[ADDRESS_SIZE], address[ADDRESS_SIZE];
  struct rules r;

  clear();
  setenv("RELAYCLIENT", ".via", 1);
  CHECK_INT(rules_load(&r), 0);
  check_answer(policy_recipient(&r, "a@b", out), "");
  CHECK_STR(out, "a@b.via");
  check_answer(policy_recipient(&r, "a@[192.0.2.1]", out), "553 5.1.3");
  memset(address, 'a', sizeof address);
  memcpy(address, "l@", 2);
  for (size_t i = 60; i < sizeof address; i += 60) {
    address[i] = '.';
  }
  address[2 + ADDRESS_DOMAIN_MAX] = '\0';
  check_answer(policy_recipient(&r, address, out), "553 5.1.3");
  rules_free(&r);
}

static void check_senders(void)
{
  struct rules r;

  clear();
  put("badmailfrom", "Evil@example.com\n@bad.example\n");
  CHECK_INT(rules_load(&r), 0);
  check_answer(policy_sender(&r, ""), "");
  check_answer(policy_sender(&r, "good@example.com"), "");
  check_answer(policy_sender(&r, "eviL@example.com"), "553 5.7.1");
  check_answer(policy_sender(&r, "x@bad.example"), "553 5.7.1");
  check_answer(policy_sender(&r, "x@not.bad.example"), "");
  check_answer(policy_sender(&r, "name"), "553 5.1.7");
  rules_free(&r);
}

static void check_cdb(void)
{
  char out[ADDRESS_SIZE];
  struct cdb_make make;
  struct rules r;

  clear();
  put("rcpthosts", "not.asked.example\n");
  int fd = open("control/rcpthosts.cdb", O_RDWR | O_CREAT | O_TRUNC, 0600);
  cdb_make_start(&make, fd);
  cdb_make_add(&make, "example.com", 11, "", 0);
  cdb_make_add(&make, ".example.net", 12, "", 0);
  cdb_make_add(&make, "out9", 4, "", 0);
  cdb_make_finish(&make);
  close(fd);
  CHECK_INT(rules_load(&r), 0);
  check_answer(policy_recipient(&r, "a@example.com", out), "");
  check_answer(policy_recipient(&r, "a@x.example.net", out), "");
  check_answer(policy_recipient(&r, "a@not.asked.example", out), "550 5.7.1");
  rules_free(&r);
  CHECK_INT(rename("control/rcpthosts.cdb", "control/sources.cdb"), 0);
  put("sources", "out1 192.0.2.1 - -\n");
  setenv("RELAYSOURCE", "out9", 1);
  CHECK_INT(rules_load(&r), 0);
  CHECK_STR(r.source, "out9");
  rules_free(&r);
  setenv("RELAYSOURCE", "out1", 1);
  CHECK_INT(rules_load(&r), -1);
  CHECK_STR(rules_error(),
            "environment variable RELAYSOURCE is malformed: not in control/sources: out1");
  put("sources.cdb", "no cdb");
  CHECK_INT(rules_load(&r), -1);
  CHECK_STR(rules_error(), "control/sources.cdb: not a cdb");
  unlink("control/sources.cdb");
  unlink("control/sources");
  CHECK_INT(rules_load(&r), -1);
  unsetenv("RELAYSOURCE");
  put("rcpthosts.cdb", "no cdb");
  CHECK_INT(rules_load(&r), -1);
}

int main(void)
{
  char directory[] = "/tmp/smtpd_policy_test.XXXXXX";

  if (!mkdtemp(directory) || chdir(directory) < 0 || mkdir("control", 0700) < 0) {
    perror("unable to make a directory");
    return 1;
  }
  check_environment();
  check_values();
  check_recipients();
  check_suffix();
  check_senders();
  check_cdb();
  clear();
  unlink("control/me");
  rmdir("control");
  CHECK_INT(rmdir(directory), 0);
  return check_done("smtpd_policy_test");
}
