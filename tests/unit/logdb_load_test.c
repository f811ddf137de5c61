/* From lines to rows: sessions put together, results and sessions in any order, pids used again. */
#include "logdb_load.h"

#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID1 "1M8ABG8KN02GQW4V"
#define ID2 "1M8ABG8KR02GQW4W"
#define ID3 "1M8ABG8KV02GQW4X"

/* In memory where that can be had: there are some hundred databases, each synced at its end. */
static char in_memory[] = "/dev/shm/relay-logdb-load.XXXXXX", on_disk[] = "/tmp/relay-logdb-load.XXXXXX";
static char *directory;
static unsigned scenes;

/* The rows of a query, columns between "|", rows between "/". NULL is "-". */
static const char *ask(struct logdb *db, const char *query, unsigned columns)
{
  static char out[4000];
  struct sql_value row[SQL_COLUMNS_MAX];
  struct sql_statement *s = db->sql->driver->prepare(db->sql, query);
  size_t len = 0;

  *out = '\0';
  CHECK(s != NULL);
  if (!s) {
    return db->sql->driver->error(db->sql);
  }
  CHECK_INT(db->sql->driver->query(s, NULL, 0), 0);
  while (db->sql->driver->next(s, row, columns) == 1) {
    len += (size_t)snprintf(out + len, sizeof(out) - len, "%s", len ? "/" : "");
    for (unsigned i = 0; i < columns; i++) {
      len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s", i ? "|" : "",
                              row[i].type == SQL_NULL ? "-" : row[i].text);
    }
  }
  db->sql->driver->finish(s);
  return out;
}

/* Two logs, of smtpd ("c" in front of a line) and send ("s"), a millisecond between two lines. */
static void write_logs(const char *const *lines, char paths[2][100])
{
  char stamp[TAI64N_LENGTH + 1], name[220];
  FILE *files[2];

  for (int i = 0; i < 2; i++) {
    snprintf(paths[i], 100, "%s/%u%c", directory, scenes, "cs"[i]);
    CHECK_INT(mkdir(paths[i], 0700), 0);
    snprintf(name, sizeof(name), "%s/current", paths[i]);
    files[i] = fopen(name, "w");
  }
  scenes++;
  for (int64_t n = 0; lines[n]; n++) {
    tai64n_format((INT64_C(1795643941000) + n) * 1000000, stamp);
    fprintf(files[lines[n][0] == 's'], "%s %s\n", stamp, lines[n] + 2);
  }
  fclose(files[0]);
  fclose(files[1]);
}

/*
 * Loads the lines, with a commit and everything forgotten after each "step"
 * lines, as a kill does; returns the database, to be closed.
 */
static void play(struct logdb *db, const char *const *lines, unsigned step)
{
  static char paths[2][100];
  static char file[120];
  static struct log_merge merge;
  static struct logdb_load load;
  struct log_entry entry;
  unsigned failed, n;
  bool more = true;

  write_logs(lines, paths);
  snprintf(file, sizeof(file), "%s/%u.sqlite", directory, scenes);
  while (more) {
    merge.count = 0;
    CHECK_INT(log_merge_add(&merge, paths[0]), 0);
    CHECK_INT(log_merge_add(&merge, paths[1]), 0);
    logdb_open(db, file, NULL, "test");
    logdb_load_open(&load, db, &merge);
    for (n = 0; n < step && (more = log_merge_next(&merge, &entry, &failed) == 1); n++) {
      logdb_load_line(&load, &entry);
    }
    logdb_load_commit(&load);
    logdb_load_close(&load);
    log_merge_close(&merge);
    if (more) {
      logdb_close(db);
    }
  }
}

#define CONNECT "s 9 = connect site=big host=mx1 worker=50 ms=3 window=4 open=1"
#define WORKER "s 50 = connect host=mx1 ip=192.0.2.1 port=25 tls=TLSv1.2"
#define QUEUED "s 8 = queued id=" ID1 " serial=1 tenant=t pid=40 uid=9 bytes=300 rcpts=1 from=<a@x>"
#define DELIVER "s 50 = deliver id=" ID1 " host=mx1 rcpts=1 delivered=1 deferred=0 failed=0 ms=7"
#define RESULT \
  "s 8 = result id=" ID1 " serial=1 rcpt=0 verdict=delivered status=2.0.0 attempts=1 host=mx1 " \
  "reply=\"250 \"ok\"\""
#define ACCEPT "c 40 = accept id=" ID1 " tenant=t bytes=250 rcpts=1 code=250"
#define CLIENT \
  "c 40 = connect client=192.0.2.9 tenant=t relay=yes", "c 40 < MAIL FROM:<a@x>", \
    "c 40 > 250 ok", "c 40 < RCPT TO:<no@y>", "c 40 > 550 no", "c 40 < RCPT TO:<b@y>", \
    "c 40 > 250 ok", "c 40 < DATA", "c 40 > 354 go", "c 40 < Subject: RCPT TO:<evil@y>"
#define RCPT "s 50 > MAIL FROM:<a@x>", "s 50 > RCPT TO:<b@y>", "s 50 > DATA"

/* The same rows, whichever of the lines that belong together comes first, wherever it is cut. */
static void test_orders(void)
{
  static const char *const orders[][24] = {
    {CLIENT, QUEUED, ACCEPT, CONNECT, WORKER, RCPT, DELIVER, RESULT, NULL},
    {CLIENT, QUEUED, CONNECT, WORKER, RCPT, DELIVER, RESULT, ACCEPT, NULL},
    {CLIENT, QUEUED, RESULT, CONNECT, WORKER, RCPT, DELIVER, ACCEPT, NULL},
    {CLIENT, QUEUED, WORKER, RCPT, DELIVER, CONNECT, RESULT, ACCEPT, NULL},
    {CLIENT, QUEUED, WORKER, RCPT, DELIVER, RESULT, CONNECT, ACCEPT, NULL},
    {CLIENT, QUEUED, RESULT, WORKER, RCPT, DELIVER, CONNECT, ACCEPT, NULL},
    {CLIENT, ACCEPT, QUEUED, RESULT, WORKER, RCPT, DELIVER, CONNECT, NULL},
  };
  static const unsigned steps[] = {1000, 7, 3, 1};
  struct logdb db;

  for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
    for (size_t n = 0; n < sizeof(steps) / sizeof(*steps); n++) {
      play(&db, orders[i], steps[n]);
      CHECK_STR(ask(&db,
                    "SELECT recipient, domain, site, mx, verdict, reply, tls, attempts, ms, tenant, "
                    "connection_id = (SELECT id FROM connections WHERE kind = 'mx') FROM deliveries",
                    11),
                "b@y|y|big|mx1|delivered|250 \"ok\"|TLSv1.2|1|7|t|1");
      CHECK_STR(ask(&db,
                    "SELECT tenant, sender, bytes, rcpts, serial, uid, code, "
                    "connection_id = (SELECT id FROM connections WHERE kind = 'client') FROM messages",
                    8),
                "t|a@x|300|1|1|9|250|1");
      CHECK_STR(ask(&db, "SELECT address FROM recipients", 1), "b@y");
      CHECK_STR(ask(&db, "SELECT kind, mail_from, mail_to, peer, messages FROM connections ORDER BY 1", 5),
                "client|a@x|b@y|192.0.2.9|1/mx|a@x|b@y|192.0.2.1|1");
      logdb_close(&db);
    }
  }
}

/* A worker that connects again (without TLS, say) is a session more, for the same site. */
static void test_again(void)
{
  static const char *const lines[] = {CONNECT, WORKER, "s 50 < 220 hello", WORKER, "s 50 < 220 hello", RCPT,
                                      DELIVER, RESULT, "s 50 > QUIT", "s 50 < 221 bye", NULL};
  struct logdb db;

  for (unsigned step = 1; step < 12; step += 3) {
    play(&db, lines, step);
    CHECK_STR(ask(&db, "SELECT site, messages, ended_at IS NULL FROM connections ORDER BY id", 3), "big|0|0/big|1|0");
    CHECK_STR(ask(&db, "SELECT recipient, site, ms FROM deliveries", 3), "b@y|big|7");
    logdb_close(&db);
  }
}

/* A message that was tried before any commit, and refused: its session and recipient are known. */
static void test_through(void)
{
  static const char *const lines[] = {CLIENT,
                                      "s 8 = through id=" ID1 " serial=1 tenant=t pid=40 uid=9 bytes=300 rcpts=1 from=<a@x>",
                                      CONNECT, WORKER, RCPT,
                                      "s 8 = result id=" ID1 " serial=1 rcpt=0 verdict=failed status=5.1.1 attempts=1 "
                                      "host=mx1 reply=\"550 no\"",
                                      DELIVER, "c 40 = refuse id=" ID1 " tenant=t bytes=250 rcpts=1 code=550", NULL};
  struct logdb db;

  for (unsigned step = 1; step < 20; step += 5) {
    play(&db, lines, step);
    CHECK_STR(ask(&db, "SELECT through, code, bytes, connection_id IS NULL FROM messages", 4), "1|550|300|0");
    CHECK_STR(ask(&db, "SELECT recipient, verdict, site FROM deliveries", 3), "b@y|failed|big");
    logdb_close(&db);
  }
}

/* Mail without a client's session: its recipients are those of the MX's session, in order. */
static void test_injected(void)
{
  static const char *const lines[] = {
    "s 8 = queued id=" ID2 " serial=2 tenant=local:0 pid=60 uid=0 bytes=99 rcpts=3 from=<c@x>",
    CONNECT, WORKER, "s 50 > MAIL FROM:<c@x>", "s 50 < 250 ok", "s 50 > RCPT TO:<one@y>",
    "s 50 < 250 ok", "s 50 > RCPT TO:<two@y>", "s 50 < 550 no", "s 50 > RCPT TO:<three@z>",
    "s 8 = result id=" ID2 " serial=2 rcpt=0 verdict=delivered status=2.0.0 attempts=1 host=mx1 reply=\"250\"",
    "s 50 = deliver id=" ID2 " host=mx1 rcpts=3 delivered=2 deferred=0 failed=1 ms=1",
    "s 8 = result id=" ID2 " serial=2 rcpt=1 verdict=failed status=5.1.1 attempts=1 host=mx1 reply=\"550\"",
    "s 8 = result id=" ID2 " serial=2 rcpt=2 verdict=delivered status=2.0.0 attempts=1 host=mx1 reply=\"250\"",
    "s 8 = queued id=" ID3 " serial=3 tenant=local:0 pid=8 uid=7 bytes=9 rcpts=1 dsn-of=" ID2 " from=<>", NULL};
  struct logdb db;

  for (unsigned step = 1; step < 20; step += 6) {
    play(&db, lines, step);
    CHECK_STR(ask(&db, "SELECT rcpt, recipient, verdict, ms, site FROM deliveries ORDER BY rcpt", 5),
              "0|one@y|delivered|1|big/1|two@y|failed|1|big/2|three@z|delivered|1|big");
    CHECK_STR(ask(&db, "SELECT id, sender, dsn_of FROM messages WHERE dsn_of IS NOT NULL", 3),
              ID3 "||" ID2);
    logdb_close(&db);
  }
}

/* Warp's columns and directions; a pid that is used again; a session that the log has no start of. */
static void test_sessions(void)
{
  static const char *const lines[] = {
    "c 40 > 250 from the middle", "c tcpserver: pid 40 from 192.0.2.1", "c tcpserver: ok 40 :a:1 :b::2",
    "c 40 = connect client=192.0.2.1 tenant=t relay=no", "c 40 > 220 hello", "c 40 < EHLO x", "c 40 > 250-x",
    "c 40 > 250 PIPELINING", "c 40 < STARTTLS", "c 40 > 220 go", "c 40 < AUTH [redacted]", "c 40 > 235 ok",
    "c 40 < MAIL FROM:<a@x>", "c 40 > 250 ok", "c 40 = end reason=quit", "c tcpserver: end 40 status 0",
    "c tcpserver: pid 40 from 192.0.2.2", "c tcpserver: deny 40 :a:1 :b::2", "c relay-smtpd: warning: x",
    "s 50 > QUIT", "s 8 = replay messages=0", NULL};
  struct logdb db;

  for (unsigned step = 1; step < 30; step += 4) {
    play(&db, lines, step);
    CHECK_STR(ask(&db, "SELECT kind, peer, mail_from, mail_to, elapse, reason, ended_at IS NULL "
                       "FROM connections ORDER BY id", 7),
              "client|-|unknown|unknown|-2|-|0/client|192.0.2.1|a@x|unknown|-2|quit|0/"
              "client|-|unknown|unknown|-2|-|0/mx|-|unknown|unknown|-2|-|0");
    CHECK_STR(ask(&db, "SELECT m.direction, SUBSTR(m.data, 1, 8) FROM communications m JOIN connections c "
                       "ON c.id = m.connection_id WHERE c.peer = '192.0.2.1' ORDER BY m.id", 2),
              "--|tcpserve/--|tcpserve/--|connect /<-|220 hell/->|EHLO x/<||250-x/<||250 PIPE/"
              ">||STARTTLS/<||220 go/>||AUTH [re/<||235 ok/->|MAIL FRO/<-|250 ok/--|end reas/--|tcpserve");
    CHECK_STR(ask(&db, "SELECT COUNT(*) FROM log_state", 1), "0");
    logdb_close(&db);
  }
}

int main(void)
{
  char command[100];

  directory = mkdtemp(in_memory) ? in_memory : mkdtemp(on_disk);
  CHECK(directory != NULL);
  test_orders();
  test_again();
  test_through();
  test_injected();
  test_sessions();
  snprintf(command, sizeof(command), "rm -rf %s", directory);
  CHECK_INT(system(command), 0);
  return check_done("logdb_load");
}
