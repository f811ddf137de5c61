"""A relay's log without a relay: the lines of many sessions, in multilog's directories.

A client's session each, AT_A_TIME of them interleaved, delivered over kept connections.
"""
AT_A_TIME = 8
CLIENT = """tcpserver: pid {pid} from 192.0.2.{tenant}
tcpserver: ok {pid} relay.test:127.0.0.1:25 :192.0.2.{tenant}::40{tenant}
{pid} = connect client=192.0.2.{tenant} port=40{tenant} local=127.0.0.1 tenant=msa{tenant} relay=yes
{pid} > 220 relay.test ESMTP
{pid} < EHLO msa{tenant}.test
{pid} > 250-relay.test
{pid} > 250-PIPELINING
{pid} > 250-SIZE 2147479552
{pid} > 250-8BITMIME
{pid} > 250 DSN
{pid} < MAIL FROM:<user{n}@msa{tenant}.test>
{pid} > 250 2.1.0 sender ok
{pid} < RCPT TO:<somebody{n}@example{domain}.test>
{pid} > 250 2.1.5 recipient ok
{pid} < DATA
{pid} > 354 go ahead, end with a dot on a line by itself
{pid} < From: <user{n}@msa{tenant}.test>
{pid} < To: <somebody{n}@example{domain}.test>
{pid} < Date: Sun, 22 Nov 2026 15:45:09 +0000
{pid} < Message-Id: <{id}@msa{tenant}.test>
{pid} = accept id={id} tenant=msa{tenant} bytes=5120 rcpts=1 code=250
{pid} > 250 2.0.0 {id} queued
{pid} < QUIT
{pid} > 221 2.0.0 relay.test goodbye
{pid} = end reason=quit accepted=1 refused=0 ms=3
tcpserver: end {pid} status 0""".split("\n")
SEND = """300 = queued id={id} serial={n} tenant=msa{tenant} pid={pid} uid=995 bytes=5240 rcpts=1 from=<user{n}@msa{tenant}.test>
{worker} > MAIL FROM:<user{n}@msa{tenant}.test> SIZE=5240
{worker} < 250 2.1.0 Ok
{worker} > RCPT TO:<somebody{n}@example{domain}.test>
{worker} < 250 2.1.5 Ok
{worker} > DATA
{worker} < 354 End data with <CR><LF>.<CR><LF>
{worker} < 250 2.0.0 Ok: queued as 4A2C{n}
{worker} = deliver id={id} host=mx{domain}.test rcpts=1 delivered=1 deferred=0 failed=0 bytes=5243 ms=12 mail=1 rcpt=1 dot=9
300 = result id={id} serial={n} rcpt=0 verdict=delivered status=2.0.0 attempts=1 host=mx{domain}.test reply="250 2.0.0 Ok: queued as 4A2C{n}\"""".split("\n")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def base32(value, width):
    return "".join(CROCKFORD[value >> 5 * i & 31] for i in reversed(range(width)))


def stamp(micro):
    seconds, micro = divmod(micro, 1000000)
    return f"@{(1 << 62) + 10 + seconds:016x}{micro * 1000:08x}"


class Log:
    """One multilog directory; a microsecond a line."""

    def __init__(self, directory):
        directory.mkdir()
        self.directory = directory
        self.open()

    def open(self):
        self.file = open(self.directory / "current", "w", encoding="ascii")

    def put(self, micro, line):
        self.file.write(f"{stamp(micro)} {line}\n")

    def rotate(self, micro):
        self.file.close()
        (self.directory / "current").rename(self.directory / f"{stamp(micro)}.s")
        self.open()


def make(directory, sessions, files=1):
    """The logs of smtpd and send, each in so many files; returns their size and lines."""
    clients, sends = Log(directory / "smtpd"), Log(directory / "send")
    now, lines = 1795000000 * 1000000, 0
    for worker in range(8):
        sends.put(now, f"200 = connect site=site{worker}.test host=mx{worker}.test worker={500 + worker} "
                       f"ms=12 window=8 open={worker}")
        sends.put(now, f"{500 + worker} = connect host=mx{worker}.test ip=198.51.100.{worker} port=25")
    for number, group in enumerate(range(0, sessions, AT_A_TIME)):
        # Not at the same place in both, so that sessions and their deliveries are torn apart.
        for log, shift in ((clients, 0), (sends, 1)):
            if files > 1 and number % (sessions // AT_A_TIME // files + 1) == shift + 1:
                log.rotate(now)
        facts = []
        for n in range(group, min(group + AT_A_TIME, sessions)):
            facts.append({"n": n, "pid": 1000 + n % 30000, "tenant": n % 100, "domain": n % 8, "worker": 500 + n % 8,
                          "id": base32(now // 1000, 9) + base32(n, 7)})
        for template, log in ((CLIENT, clients), (SEND, sends)):
            for i, line in enumerate(template):
                for fact in facts:
                    log.put(now + i * 4, line.format_map(fact))
                    lines += 1
        now += 1600
    clients.file.close()
    sends.file.close()
    return sum(f.stat().st_size for d in ("smtpd", "send") for f in (directory / d).iterdir()), lines
