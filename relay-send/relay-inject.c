/*
 * relay-inject: takes a message from a program, as sendmail(8) does, and hands
 * it to relay-queue. Installed as sendmail too.
 *
 * Runs as its caller, not setuid. fd 0 is the message; run/inject is the way
 * in, where relay-queue knows the caller's uid from the kernel, so nothing
 * that is said here is trusted there. Exits as sysexits.h has it, which is
 * what callers of sendmail expect: unless it is 0 the caller has the message.
 */
#include "inject_address.h"
#include "inject_args.h"
#include "inject_headers.h"
#include "inject_input.h"
#include "inject_submit.h"

#include "clock.h"
#include "control.h"
#include "home.h"
#include "intake.h"
#include "report.h"
#include "scan.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define NAME_SIZE 256 /* bytes of a full name */

struct inject {
  struct inject_args args;
  char me[ADDRESS_DOMAIN_MAX + 1];
  char default_domain[ADDRESS_DOMAIN_MAX + 1];
  uint64_t databytes;
  char login[ADDRESS_LOCAL_MAX + 1];
  char full_name[NAME_SIZE];
  char from[ADDRESS_SIZE];
  struct envelope envelope;
  struct inject_input input;
  struct inject_headers headers;
};

static void die(int status, const char *what)
{
  report_fatal("%s", what);
  exit(status);
}

static void read_control(struct inject *p)
{
  enum control_result r = control_me(p->me, sizeof p->me);

  if (r == CONTROL_OK) {
    snprintf(p->default_domain, sizeof p->default_domain, "%s", p->me);
    r = control_line("defaultdomain", p->default_domain, sizeof p->default_domain);
  }
  if (r == CONTROL_OK &&
      !address_domain_valid(p->default_domain, strlen(p->default_domain), false)) {
    r = control_fail("defaultdomain", 1, "not a domain: %s", p->default_domain);
  }
  if (r == CONTROL_OK || r == CONTROL_MISSING) {
    r = control_u64("databytes", 0, INTAKE_CONTENT_MAX, &p->databytes);
  }
  if (r == CONTROL_MALFORMED || r == CONTROL_UNREADABLE) {
    die(EX_TEMPFAIL, control_error()); /* the operator's mistake: the mail must not bounce for it */
  }
  if (p->databytes == 0 || p->databytes > INTAKE_CONTENT_MAX) {
    p->databytes = INTAKE_CONTENT_MAX;
  }
}

/* The name of passwd(5): up to the first comma, "&" for the login with a capital. */
static void expand_gecos(const char *gecos, const char *login, char *out, size_t size)
{
  size_t n = 0;

  for (; *gecos && *gecos != ',' && n + ADDRESS_LOCAL_MAX + 2 < size; gecos++) {
    if (*gecos != '&') {
      out[n++] = *gecos;
      continue;
    }
    size_t first = n;
    n += (size_t)snprintf(out + n, size - n, "%.*s", ADDRESS_LOCAL_MAX, login);
    if (out[first] >= 'a' && out[first] <= 'z') {
      out[first] = (char)(out[first] - 'a' + 'A');
    }
  }
  out[n] = '\0';
}

static void find_caller(struct inject *p)
{
  const struct passwd *user = getpwuid(getuid());

  if (user && strlen(user->pw_name) < sizeof p->login) {
    snprintf(p->login, sizeof p->login, "%s", user->pw_name);
  } else {
    snprintf(p->login, sizeof p->login, "uid%lu", (unsigned long)getuid());
  }
  if (p->args.full_name) {
    snprintf(p->full_name, sizeof p->full_name, "%s", p->args.full_name);
  } else if (user && user->pw_gecos && !p->args.sender) {
    expand_gecos(user->pw_gecos, p->login, p->full_name, sizeof p->full_name);
  }
}

static int take_sender(void *arg, const char *address, size_t end)
{
  char *sender = arg;

  (void)end;
  if (sender[0]) {
    return 1; /* two of them */
  }
  snprintf(sender, ADDRESS_SIZE, "%s", address);
  return 0;
}

static void choose_sender(struct inject *p)
{
  char *sender = p->envelope.sender;
  const char *given = p->args.sender ? p->args.sender : p->login;
  const char *why;

  if (inject_address_list(given, strlen(given), p->default_domain, take_sender, sender, &why) !=
      0) {
    report_fatal("not the address of a sender: %s", given);
    exit(EX_USAGE);
  }
  /* -f '<>' is the null sender; a From is still needed. */
  if (sender[0]) {
    memcpy(p->from, sender, sizeof p->from);
  } else {
    snprintf(p->from, sizeof p->from, "%s@%s", p->login, p->default_domain);
  }
}

static int take_rcpt(void *arg, const char *address, size_t end)
{
  (void)end;
  return inject_add_rcpt(arg, address) < 0 ? 1 : 0;
}

static void add_arguments(struct inject *p)
{
  for (int i = 0; i < p->args.rcpt_count; i++) {
    const char *list = p->args.rcpts[i], *why;
    int r =
      inject_address_list(list, strlen(list), p->default_domain, take_rcpt, &p->envelope, &why);
    if (r > 0) {
      die(EX_USAGE, errno == EMSGSIZE ? "more than 1000 recipients" : "out of memory");
    }
    if (r < 0) {
      report_fatal("not a recipient's address: %s: %s", list, why);
      exit(EX_DATAERR);
    }
  }
}

static void read_message(struct inject *p)
{
  switch (inject_input_read(&p->input, 0, !p->args.dot_is_text, p->databytes)) {
  case INJECT_INPUT_OK:
    return;
  case INJECT_INPUT_NUL:
    die(EX_DATAERR, "the message has a NUL in it");
    break;
  case INJECT_INPUT_TOO_BIG:
    die(EX_DATAERR, "the message is bigger than control/databytes allows");
    break;
  case INJECT_INPUT_READ:
    report_fatal_errno("unable to read the message");
    exit(EX_IOERR);
  case INJECT_INPUT_WRITE:
    report_fatal_errno("unable to hold the message");
    exit(EX_TEMPFAIL);
  }
}

static void make_header(struct inject *p)
{
  const struct inject_writer who = {.default_domain = p->default_domain,
                                    .me = p->me,
                                    .from = p->from,
                                    .full_name = p->full_name,
                                    .id = p->envelope.id,
                                    .now = p->envelope.arrival};
  const struct buf *head = &p->input.head;
  const char *why;

  if (inject_headers_make(&p->headers, head->data ? head->data : "", head->len, &who,
                          p->args.from_header ? &p->envelope : NULL, &why) < 0) {
    die(EX_DATAERR, why);
  }
  /* The rest is outside of head: that the header ended in it must be seen. */
  size_t end = p->headers.body;
  if (p->input.rest_len && end != 2 &&
      (end < 4 || memcmp(head->data + end - 4, "\r\n\r\n", 4) != 0)) {
    die(EX_DATAERR, "the header does not end within a megabyte");
  }
}

/* RFC 3461 4.4: the identifier travels as xtext. */
static void set_envid(struct envelope *e, const char *text)
{
  size_t n = 0;

  for (; *text; text++) {
    bool plain = *text > ' ' && *text <= '~' && *text != '+' && *text != '=';
    if (n + 4 > sizeof e->envid) {
      die(EX_USAGE, "the envelope identifier (-V) is too long");
    }
    n += (size_t)snprintf(e->envid + n, sizeof e->envid - n, plain ? "%c" : "+%02X",
                          (unsigned char)*text);
  }
}

static void complete_envelope(struct inject *p)
{
  struct envelope *e = &p->envelope;
  bool utf8 = p->headers.utf8 || !scan_ascii_only(e->sender, strlen(e->sender));

  for (uint32_t i = 0; i < e->rcpt_count; i++) {
    e->rcpts[i].notify = p->args.notify;
    utf8 = utf8 || !scan_ascii_only(e->rcpts[i].address, strlen(e->rcpts[i].address));
  }
  snprintf(e->tenant, sizeof e->tenant, "local");
  snprintf(e->client, sizeof e->client, "local");
  e->flags = (p->input.eight_bit || utf8 ? ENVELOPE_8BITMIME : 0) | (utf8 ? ENVELOPE_SMTPUTF8 : 0);
  e->ret = p->args.ret;
  if (p->args.envid) {
    set_envid(e, p->args.envid);
  }
}

static int send_message(struct inject *p)
{
  const struct inject_message m = {.envelope = &p->envelope,
                                   .header = &p->headers.out,
                                   .body =
                                     p->input.head.len ? p->input.head.data + p->headers.body : "",
                                   .body_len = p->input.head.len - p->headers.body,
                                   .rest_fd = p->input.rest_fd,
                                   .rest_len = p->input.rest_len};
  char text[INTAKE_TEXT_SIZE + 100] = "";
  int status = inject_submit(&m, text, sizeof text);

  if (status != EX_OK) {
    report_fatal("%s: %s", status == EX_TEMPFAIL ? "not sent, try again later" : "not sent", text);
  } else if (p->args.verbose) {
    report_info("%s", text);
  }
  return status;
}

/* The modes of sendmail that are other programs' work here. Returns only to send. */
static void leave_other_modes(const struct inject_args *a)
{
  switch (a->mode) {
  case INJECT_MODE_SEND:
    return;
  case INJECT_MODE_NOTHING:
    exit(EX_OK);
  case INJECT_MODE_QUEUE:
    die(EX_USAGE, "-bp and -q are done by relay-ctl: see relay-ctl list, relay-ctl retry");
    break;
  case INJECT_MODE_OTHER:
    report_fatal("-b%c is not done by this program; SMTP is spoken by relay-smtpd", a->other);
    exit(EX_USAGE);
  case INJECT_MODE_HELP:
    fputs(inject_args_help, stdout);
    exit(EX_OK);
  case INJECT_MODE_USAGE:
    fputs(inject_args_help, stderr);
    exit(EX_USAGE);
  }
}

int main(int argc, char **argv)
{
  static struct inject p;
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "relay-inject";
  bool is_sendmail = strcmp(name, "sendmail") == 0;

  report_program(is_sendmail ? "sendmail" : "relay-inject");
  inject_args_parse(&p.args, argc, argv);
  leave_other_modes(&p.args);
  if (!p.args.from_header && p.args.rcpt_count == 0) {
    die(EX_USAGE, "no recipients: give their addresses, or -t to take them from the header");
  }
  /* Called from anywhere, sendmail must not take the directory that it is in for the relay's. */
  const char *home = p.args.directory ? p.args.directory : is_sendmail ? home_default : NULL;
  if (home_enter(home) < 0) {
    report_fatal_errno("unable to enter %s", home ? home : home_default);
    return EX_TEMPFAIL;
  }
  read_control(&p);
  find_caller(&p);
  envelope_init(&p.envelope);
  p.envelope.arrival = clock_wall_ms();
  id_mint(p.envelope.id);
  choose_sender(&p);
  add_arguments(&p);
  read_message(&p);
  make_header(&p);
  if (p.envelope.rcpt_count == 0) {
    die(EX_USAGE, "no recipients in the header");
  }
  complete_envelope(&p);
  return send_message(&p);
}
