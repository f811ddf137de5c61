#include "settings.h"

#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_control(const char *name, const char *text)
{
  char path[100];

  snprintf(path, sizeof path, "control/%s", name);
  FILE *f = fopen(path, "w");
  CHECK(f != NULL);
  if (f) {
    fputs(text, f);
    fclose(f);
  }
}

static void remove_control(const char *name)
{
  char path[100];

  snprintf(path, sizeof path, "control/%s", name);
  unlink(path);
}

static void test_smtproutes(void)
{
  static const struct {
    const char *line, *wrong;
  } lines[] = {
    {"example.com:relay.example.net", NULL},
    {".Example.org:[::1]:2525", NULL},
    {"literal.test:[192.0.2.7]", NULL},
    {"six.test:[IPv6:2001:db8::1]:25", NULL},
    {"plain.test:127.0.0.1:2526", NULL},
    {"[192.0.2.9]:inside.test:26", NULL},
    {"mx.example.org:", NULL},
    {"port.test::2527", NULL},
    {":default.test", NULL},
    {"example.com:again.test", "this domain has a line already"},
    {"nocolon", "not DOMAIN:HOST[:PORT]"},
    {"a b:host", "not a domain before the first colon"},
    {"[1.2.3]:host", "not a domain before the first colon"},
    {"x.test:[::1", "not a host name or an address in brackets after the first colon"},
    {"x.test:host:0", "not a port from 1 to 65535 after the host"},
    {"x.test:host:65536", "not a port from 1 to 65535 after the host"},
    {"x.test:host:25x", "not a port from 1 to 65535 after the host"},
  };
  static const struct {
    const char *domain, *host;
    int port;
  } wanted[] = {
    {"example.com", "relay.example.net", 25}, {"sub.example.com", "default.test", 25},
    {"example.org", "default.test", 25},      {"a.example.org", "[::1]", 2525},
    {"b.a.example.org", "[::1]", 2525},       {"mx.example.org", "", 25},
    {"literal.test", "[192.0.2.7]", 25},      {"[192.0.2.9]", "inside.test", 26},
    {"[192.0.2.10]", "default.test", 25},     {"port.test", "", 2527},
    {"plain.test", "127.0.0.1", 2526},
  };
  struct smtproutes routes;

  smtproutes_init(&routes);
  CHECK(smtproutes_find(&routes, "example.com") == NULL);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    const char *wrong = smtproutes_add(&routes, lines[i].line, (unsigned)i + 1);
    CHECK_STR(wrong ? wrong : "ok", lines[i].wrong ? lines[i].wrong : "ok");
  }
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    const struct smtproute *route = smtproutes_find(&routes, wanted[i].domain);
    CHECK(route != NULL);
    if (route) {
      CHECK_STR(route->host, wanted[i].host);
      CHECK_INT(route->port, wanted[i].port);
      CHECK_STR(lines[route->line - 1].wrong ? lines[route->line - 1].wrong : "ok", "ok");
    }
  }
  smtproutes_free(&routes);
}

static void test_sitemap(void)
{
  static const struct {
    const char *host, *site;
  } built_in[] = {
    {"contoso-com.mail.protection.outlook.com", "microsoft365"},
    {"hotmail-com.olc.protection.outlook.com", "outlook.com"},
    {"aspmx.l.google.com", "google"},
    {"mx01.mail.icloud.com", "apple"},
    {"mfsmax.docomo.ne.jp", "docomo"},
    {"lsean.ezweb.ne.jp", "au"},
    {"mx.softbank.ne.jp", "softbank"},
    {"google.com", NULL},
    {"mx.example.com", NULL},
    {"", NULL},
  };
  struct sitemap map;

  remove_control("sites");
  sitemap_init(&map);
  CHECK_INT(sitemap_read(&map), CONTROL_MISSING);
  for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
    const char *site = sitemap_find(&map, built_in[i].host);
    CHECK_STR(site ? site : "none", built_in[i].site ? built_in[i].site : "none");
  }
  sitemap_free(&map);

  write_control("sites", "# ours\n.example.net:wide\nmx.example.net:one\n");
  sitemap_init(&map);
  CHECK_INT(sitemap_read(&map), CONTROL_OK);
  CHECK_STR(sitemap_find(&map, "a.b.example.net"), "wide");
  CHECK_STR(sitemap_find(&map, "mx.example.net"), "one");
  CHECK(sitemap_find(&map, "aspmx.l.google.com") == NULL);
  CHECK_STR(sitemap_add(&map, "nocolon"), "not SUFFIX:SITE");
  CHECK(sitemap_add(&map, ":x") != NULL);
  CHECK(sitemap_add(&map, ".:x") != NULL);
  CHECK(sitemap_add(&map, "a.test:") != NULL);
  CHECK(sitemap_add(&map, "a.test:two words") != NULL);
  sitemap_free(&map);
}

static void test_defaults(void)
{
  struct settings s;

  remove_control("sites");
  write_control("me", "relay.test\n");
  CHECK_INT(settings_read(&s), 0);
  CHECK_STR(s.me, "relay.test");
  CHECK_STR(s.helo, "relay.test");
  CHECK_INT(s.lifetime, 432000);
  CHECK_INT(s.delaywarn, 14400);
  CHECK_INT(s.site_connections, 20);
  CHECK_INT(s.timeouts.dot, 600);
  CHECK_INT(s.timeouts.data, 120);
  CHECK_INT(s.retry_count, 5);
  CHECK(!s.double_bounces);
  settings_free(&s);

  write_control("timeoutremote", "77\n");
  write_control("timeoutdot", "88\n");
  write_control("doublebounceto", "postmaster@relay.test\n");
  write_control("windowinitial", "50\n");
  CHECK_INT(settings_read(&s), 0);
  CHECK_INT(s.timeouts.rcpt, 77);
  CHECK_INT(s.timeouts.dot, 88);
  CHECK_INT(s.timeouts.connect, 60);
  CHECK_INT(s.window_initial, 20); /* not above concurrencysite */
  CHECK(s.double_bounces);
  settings_free(&s);
}

static void test_malformed(void)
{
  static const struct {
    const char *name, *text, *error;
  } files[] = {
    {"lifetime", "soon\n", "control/lifetime:1"},
    {"concurrencyremote", "0\n", "control/concurrencyremote:1"},
    {"timeoutrcpt", "-1\n", "control/timeoutrcpt:1"},
    {"retry", "300 x\n", "control/retry:1"},
    {"retry", "\n", "control/retry"},
    {"smtproutes", "# a comment\na.test:host:99999\n", "control/smtproutes:2"},
    {"sites", "a.test\n", "control/sites:1"},
    {"sources", "# ours\n\nout1 192.0.2.1 - -\nout2 192.0.2.2\n",
     "control/sources:4: not NAME IPV4 IPV6 HELO, with - for none: out2 192.0.2.2"},
    {"helohost", "not a name\n", "control/helohost:1"},
  };
  struct settings s;

  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    write_control(files[i].name, files[i].text);
    CHECK_INT(settings_read(&s), -1);
    CHECK(strncmp(control_error(), files[i].error, strlen(files[i].error)) == 0);
    remove_control(files[i].name);
  }
}

static void test_retry(void)
{
  struct settings s = {.retry = {300, 600, 3600}, .retry_count = 3};

  /* random 0: a tenth less; random at the span: a tenth more; never outside. */
  CHECK_INT(settings_retry_ms(&s, 1, 0), 270000);
  CHECK_INT(settings_retry_ms(&s, 1, 60000), 330000);
  CHECK_INT(settings_retry_ms(&s, 2, 0), 540000);
  CHECK_INT(settings_retry_ms(&s, 3, 0), 3240000);
  CHECK_INT(settings_retry_ms(&s, 4, 0), 3240000);
  CHECK_INT(settings_retry_ms(&s, 60000, 0), 3240000);
  for (uint32_t i = 0; i < 1000; i++) {
    int64_t ms = settings_retry_ms(&s, 1, i * 2654435761u);
    CHECK(ms >= 270000 && ms <= 330000);
  }
}

int main(void)
{
  char directory[] = "/tmp/send_settings_test.XXXXXX", command[64];

  if (!mkdtemp(directory) || chdir(directory) == -1 || mkdir("control", 0700) == -1) {
    perror(directory);
    return 1;
  }
  test_smtproutes();
  test_sitemap();
  test_defaults();
  test_malformed();
  test_retry();
  snprintf(command, sizeof command, "rm -rf %s", directory);
  CHECK_INT(system(command), 0);
  return check_done("send_settings");
}
