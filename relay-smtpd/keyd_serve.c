#include "keyd_serve.h"

#include "channel.h"
#include "clock.h"
#include "exits.h"
#include "report.h"
#include "seqpacket.h"
#include "tls_engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define ACCEPT_REST_MS 1000

/* A process that has come: how often, in the last KEYD_CONNECTION_MS. */
struct visitor {
  pid_t pid;
  unsigned visits;
};

/* One visit; kept, closed or not, for KEYD_CONNECTION_MS. */
struct peer {
  struct channel channel;
  struct visitor *visitor;
  struct peer *next; /* who came after */
  int64_t until;
  const struct keyd_key *key;
  unsigned asked; /* verbs, as bits */
};

static struct {
  struct loop loop;
  struct loop_watch listener, signals;
  struct keyd_keys *keys;
  struct keyd_sessions *sessions;
  int64_t look; /* when to wipe those that are too old, if there are any */
  bool sessions_left;
  struct hash visitors;
  struct peer *first, *last;
  unsigned open;
  bool listening, leaving;
  int64_t rest_until; /* without descriptors or memory: no accept() before */
} k;

/* --- who may come */

static const void *visitor_key(const void *item, size_t *len)
{
  const struct visitor *v = item;

  *len = sizeof v->pid;
  return &v->pid;
}

/* NULL: has come too often, or no memory. */
static struct visitor *visit(pid_t pid)
{
  struct visitor *v = hash_find(&k.visitors, &pid, sizeof pid);

  if (v) {
    /* In another pid namespace all have the number 0, and cannot be told apart. */
    return v->visits < KEYD_VISITS_MAX || pid == 0 ? v : NULL;
  }
  v = calloc(1, sizeof *v);
  if (v) {
    v->pid = pid;
    if (hash_insert(&k.visitors, v) < 0) {
      free(v);
      v = NULL;
    }
  }
  return v;
}

static void forget_visit(struct visitor *v)
{
  if (--v->visits == 0) {
    hash_remove(&k.visitors, &v->pid, sizeof v->pid);
    free(v);
  }
}

static void peer_close(struct peer *p)
{
  if (p->channel.watch.fd != -1) {
    channel_close(&p->channel);
    k.open--;
  }
}

/* --- requests */

static void answer(struct peer *p, struct buf *b, int result)
{
  if (result < 0 || channel_send(&p->channel, b->data, b->len, -1) < 0) {
    report_warning("out of memory for an answer");
    peer_close(p);
  } else {
    channel_flush(&p->channel);
  }
}

static int choose(struct peer *p, const struct keyd_request *q, struct buf *b)
{
  p->key = keyd_keys_choose(k.keys, q->name, q->kinds);
  if (!p->key) {
    return keyd_put_refusal(b, "no key of a kind that the client takes");
  }
  return keyd_put_chain(b, p->key->kind, p->key->chain, p->key->chain_count);
}

static int sign(struct peer *p, const struct keyd_request *q, struct buf *b)
{
  unsigned char signature[KEYD_SIGNATURE_MAX];
  size_t len =
    keyd_key_sign(p->key, q->algorithm, q->parameters.data, q->parameters.len, signature);

  return len ? keyd_put_signature(b, signature, len)
             : keyd_put_refusal(b, "the key does not sign with that algorithm");
}

static int load(struct keyd_request *q, struct buf *b)
{
  return keyd_sessions_load(k.sessions, &q->session, clock_monotonic_ms())
           ? keyd_put_session(b, &q->session)
           : keyd_put_refusal(b, "no such session");
}

static void act(struct peer *p, struct keyd_request *q)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  switch (q->verb) {
  case 'C':
    answer(p, &b, choose(p, q, &b));
    break;
  case 'S':
    answer(p, &b, sign(p, q, &b));
    break;
  case 'L':
    answer(p, &b, load(q, &b));
    break;
  default:
    keyd_sessions_save(k.sessions, &q->session, clock_monotonic_ms());
    k.sessions_left = true;
  }
  if (b.data) {
    tls_wipe(b.data, b.len);
  }
  buf_free(&b);
}

static void datagram(struct channel *c, const char *data, size_t len, int passed_fd)
{
  struct peer *p = (struct peer *)c;
  struct keyd_request q;
  unsigned bit;

  if (passed_fd != -1) {
    close(passed_fd);
  }
  if (keyd_get_request(data, len, &q) < 0) {
    report_warning("garbled request from process %d", (int)p->visitor->pid);
    peer_close(p);
    return;
  }
  bit = 1U << (q.verb - 'A');
  if ((p->asked & bit) || (q.verb == 'S' && !p->key)) {
    report_warning("request %c out of order from process %d", q.verb, (int)p->visitor->pid);
    peer_close(p);
  } else {
    p->asked |= bit;
    act(p, &q);
  }
  tls_wipe(&q, sizeof q);
}

static void closed(struct channel *c)
{
  peer_close((struct peer *)c);
}

/* --- connections */

static bool welcome(int fd)
{
  struct peer *p = calloc(1, sizeof *p);
  pid_t pid = 0;
  uid_t uid;
  gid_t gid;

  if (!p || seqpacket_peer(fd, &pid, &uid, &gid) < 0) {
    free(p);
    return false;
  }
  p->visitor = visit(pid);
  p->channel.datagram = datagram;
  p->channel.closed = closed;
  if (!p->visitor || channel_open(&p->channel, &k.loop, fd) < 0) {
    report_warning("refused process %d: %s", (int)pid,
                   p->visitor ? strerror(errno) : "it comes too often");
    if (p->visitor && p->visitor->visits == 0) {
      p->visitor->visits = 1;
      forget_visit(p->visitor);
    }
    free(p);
    return false;
  }
  p->visitor->visits++;
  p->until = clock_monotonic_ms() + KEYD_CONNECTION_MS;
  *(k.last ? &k.last->next : &k.first) = p;
  k.last = p;
  k.open++;
  return true;
}

static void accept_some(struct loop_watch *watch, uint32_t events)
{
  (void)events;
  for (int i = 0; i < ACCEPTS_PER_TURN && k.open < KEYD_PEERS_MAX; i++) {
    int fd = seqpacket_accept(watch->fd);

    if (fd == -1) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        report_warning_errno("unable to accept a connection");
        k.rest_until = clock_monotonic_ms() + ACCEPT_REST_MS;
      }
      return;
    }
    if (!welcome(fd)) {
      close(fd);
    }
  }
}

/* Visits whose time is over are ended and forgotten. Returns when the next one is, or -1. */
static int expire(int64_t now)
{
  struct peer *p;

  while ((p = k.first) && p->until <= now) {
    peer_close(p);
    forget_visit(p->visitor);
    k.first = p->next;
    k.last = k.first ? k.last : NULL;
    free(p);
  }
  return p ? (int)(p->until - now) : -1;
}

static void listen_or_not(int64_t now)
{
  bool want = !k.leaving && k.open < KEYD_PEERS_MAX && now >= k.rest_until;

  if (want && !k.listening) {
    k.listening = loop_add(&k.loop, &k.listener) == 0;
  } else if (!want && k.listening) {
    loop_remove(&k.loop, &k.listener);
    k.listening = false;
  }
}

static int before_wait(void *arg)
{
  int64_t now = clock_monotonic_ms();
  int wait = expire(now);

  (void)arg;
  if (now >= k.look) {
    k.look = now + KEYD_SESSIONS_LOOK_MS;
    k.sessions_left = keyd_sessions_expire(k.sessions, now);
  }
  if (k.sessions_left && (wait < 0 || wait > k.look - now)) {
    wait = (int)(k.look - now);
  }
  listen_or_not(now);
  k.loop.stop = k.leaving && k.open == 0;
  return !k.listening && (wait < 0 || wait > ACCEPT_REST_MS) ? ACCEPT_REST_MS : wait;
}

static void signalled(struct loop_watch *watch, uint32_t events)
{
  struct signalfd_siginfo info;

  (void)events;
  if (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info) {
    k.leaving = true;
  }
}

int keyd_serve(int listener, struct keyd_keys *keys, struct keyd_sessions *sessions)
{
  sigset_t term;

  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, NULL);
  k.keys = keys;
  k.sessions = sessions;
  hash_init(&k.visitors, visitor_key);
  k.listener = (struct loop_watch){.fd = listener, .events = EPOLLIN, .ready = accept_some};
  k.signals = (struct loop_watch){
    .fd = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK), .events = EPOLLIN, .ready = signalled};
  if (k.signals.fd == -1 || loop_init(&k.loop) < 0 || loop_add(&k.loop, &k.signals) < 0) {
    report_fatal_errno("unable to make the event loop");
    return EXIT_TEMPORARY;
  }
  k.loop.before_wait = before_wait;
  if (loop_run(&k.loop) < 0) {
    report_fatal_errno("unable to wait for events");
    return EXIT_TEMPORARY;
  }
  return EXIT_OK;
}
