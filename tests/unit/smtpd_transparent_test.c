/* The original destination: the decision, and what of it can be asked without a packet filter. */
#include "transparent.h"

#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
  const char *original; /* NULL: the kernel knows of none */
  int port;
  const char *here;
  int here_port;
  bool ours, listed;
  enum transparent_verdict verdict;
} cases[] = {
  {"198.51.100.9", 25, "192.0.2.1", 2525, false, false, TRANSPARENT_OK},
  {"198.51.100.9", 587, "192.0.2.1", 2525, false, false, TRANSPARENT_OK},
  {"2001:db8::9", 25, "2001:db8::1", 2525, false, false, TRANSPARENT_OK},
  {NULL, 0, "192.0.2.1", 2525, false, false, TRANSPARENT_DIRECT},
  {NULL, 0, "192.0.2.1", 2525, true, true, TRANSPARENT_DIRECT},
  {"198.51.100.9", 0, "192.0.2.1", 2525, false, true, TRANSPARENT_DIRECT},
  /* NAT is loaded and was not applied: never to ourselves, whatever is listed. */
  {"192.0.2.1", 2525, "192.0.2.1", 2525, true, false, TRANSPARENT_DIRECT},
  {"192.0.2.1", 2525, "192.0.2.1", 2525, true, true, TRANSPARENT_DIRECT},
  {"127.0.0.1", 2525, "127.0.0.1", 2525, false, true, TRANSPARENT_DIRECT},
  {"2001:db8::1", 2525, "2001:db8::1", 2525, true, true, TRANSPARENT_DIRECT},
  {"192.0.2.1", 25, "192.0.2.1", 2525, true, false, TRANSPARENT_SELF},
  {"192.0.2.1", 25, "192.0.2.1", 2525, true, true, TRANSPARENT_OK},
  {"192.0.2.2", 2525, "192.0.2.1", 2525, true, false, TRANSPARENT_SELF},
  {"127.0.0.1", 25, "127.0.0.1", 2525, true, false, TRANSPARENT_SELF},
  {"127.9.9.9", 25, "127.0.0.1", 2525, false, false, TRANSPARENT_LOCAL},
  {"127.9.9.9", 25, "127.0.0.1", 2525, false, true, TRANSPARENT_OK},
  {"169.254.169.254", 25, "192.0.2.1", 2525, false, false, TRANSPARENT_LOCAL},
  {"0.0.0.0", 25, "192.0.2.1", 2525, false, false, TRANSPARENT_LOCAL},
  {"224.0.0.1", 25, "192.0.2.1", 2525, false, false, TRANSPARENT_LOCAL},
  {"255.255.255.255", 25, "192.0.2.1", 2525, false, false, TRANSPARENT_LOCAL},
  {"::", 25, "2001:db8::1", 2525, false, false, TRANSPARENT_LOCAL},
  {"::1", 25, "2001:db8::1", 2525, false, false, TRANSPARENT_LOCAL},
  {"fe80::1", 25, "2001:db8::1", 2525, false, false, TRANSPARENT_LOCAL},
  {"ff02::1", 25, "2001:db8::1", 2525, false, false, TRANSPARENT_LOCAL},
  {"64:ff9b::7f00:1", 25, "2001:db8::1", 2525, false, false, TRANSPARENT_LOCAL},
};

static void check_decision(void)
{
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct transparent_place original = {.port = cases[i].port}, here = {.port = cases[i].here_port};
    const char *text = cases[i].original;
    CHECK_INT(ip_parse(cases[i].here, strlen(cases[i].here), &here.ip), 0);
    if (text) {
      CHECK_INT(ip_parse(text, strlen(text), &original.ip), 0);
    }
    if (transparent_judge(&original, &here, cases[i].ours, cases[i].listed) != cases[i].verdict) {
      fprintf(stderr, "case %zu (%s)\n", i, text ? text : "none");
      CHECK(0);
    }
  }
}

static void put(const char *path, const char *text)
{
  FILE *f = fopen(path, "w");

  CHECK(f != NULL);
  if (f) {
    fputs(text, f);
    fclose(f);
  }
}

/* The accepted end of a connection over loopback that nobody redirected. */
static int direct_connection(const char *address)
{
  struct sockaddr_storage sa;
  socklen_t len;
  struct ip ip;

  CHECK_INT(ip_parse(address, strlen(address), &ip), 0);
  ip_to_sockaddr(&ip, 0, &sa, &len);
  int listener = socket(ip.family, SOCK_STREAM, 0);
  int client = socket(ip.family, SOCK_STREAM, 0), fd = -1;
  if (bind(listener, (struct sockaddr *)&sa, len) == 0 && listen(listener, 1) == 0 &&
      getsockname(listener, (struct sockaddr *)&sa, &len) == 0 &&
      connect(client, (struct sockaddr *)&sa, len) == 0) {
    fd = accept(listener, NULL, NULL);
  }
  close(listener);
  close(client);
  return fd;
}

static void check_direct(const char *address)
{
  char destination[ENVELOPE_DESTINATION_SIZE], why[2000];
  enum transparent_verdict verdict = TRANSPARENT_OK;
  int fd = direct_connection(address);

  if (fd == -1) {
    printf("no %s here\n", address);
    return;
  }
  CHECK_INT(transparent_find(fd, &verdict, destination, why, sizeof why), 0);
  CHECK_INT(verdict, TRANSPARENT_DIRECT);
  CHECK_STR(destination, "");
  close(fd);
}

static void check_failures(void)
{
  static const struct {
    const char *name, *text, *error;
  } lists[] = {
    {"transparent", "127.0.0.0/8\n# x\nlocalhost\n",
     "control/transparent:3: not an address or network: localhost"},
    {"transparent", "127.0.0.0/33\n",
     "control/transparent:1: not an address or network: 127.0.0.0/33"},
    {"ipme", "192.0.2.1\n192.0.2.0/24\n", "control/ipme:2: not an address: 192.0.2.0/24"},
  };
  char destination[ENVELOPE_DESTINATION_SIZE], why[2000], path[100];
  enum transparent_verdict verdict;
  int pair[2];

  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  CHECK_INT(transparent_find(pair[0], &verdict, destination, why, sizeof why), -1);
  CHECK(strstr(why, "RELAYMODE=transparent needs the client's own connection as fd 0: "));
  CHECK_INT(pipe(pair), 0);
  CHECK_INT(transparent_find(pair[0], &verdict, destination, why, sizeof why), -1);
  int fd = direct_connection("127.0.0.1");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    snprintf(path, sizeof path, "control/%s", lists[i].name);
    put(path, lists[i].text);
    CHECK_INT(transparent_find(fd, &verdict, destination, why, sizeof why), -1);
    CHECK_STR(why, lists[i].error);
    unlink(path);
  }
  close(fd);
}

int main(void)
{
  char directory[] = "/tmp/smtpd_transparent_test.XXXXXX";

  if (!mkdtemp(directory) || chdir(directory) < 0 || mkdir("control", 0700) < 0) {
    perror("unable to make a directory");
    return 1;
  }
  check_decision();
  check_direct("127.0.0.1");
  check_direct("::1");
  check_failures();
  rmdir("control");
  CHECK_INT(rmdir(directory), 0);
  return check_done("smtpd_transparent");
}
