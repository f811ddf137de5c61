"""Load whose every message is accounted for: who got 250, what arrived, whole or not, how often.

Each message carries a token and the checksum of its body. Clients never send a token twice, so a
token that arrives twice for a recipient was delivered twice by the relay.
"""
import hashlib
import random
import socket
import threading
import time

from peers import Receiver

SITES = ("one.test", "two.test")
REFUSING = "refuse.test"


class Ledger:
    """What was promised and what came."""

    def __init__(self):
        self.lock = threading.Lock()
        self.promised = {}   # (token, recipient) to the time of its 250
        self.bounced = {}    # token to the time of its 250: refused recipients, a notification is due
        self.unanswered = 0  # messages without a 250: these may or may not arrive
        self.arrived = {}    # (token, recipient) to the times of its copies
        self.notices = {}    # token to the times of its notifications
        self.corrupt = []

    def take(self, message):
        """At the receiver's final dot, on the receiver's thread."""
        now = time.time()
        rcpt = message.rcpt_tos[0]
        if rcpt.startswith("bounce+"):
            self.notices.setdefault(rcpt.partition("+")[2].partition("@")[0], []).append(now)
            return
        header, body = message.header_body()
        fields = dict(line.split(b": ", 1) for line in header.split(b"\r\n") if b": " in line)
        token = fields.get(b"X-Token", b"none").decode()
        if hashlib.sha256(body).hexdigest().encode() != fields.get(b"X-Checksum"):
            self.corrupt.append(token)
        for rcpt in message.rcpt_tos:
            self.arrived.setdefault((token, rcpt), []).append(now)

    def missing(self):
        lost = [key for key in self.promised if key not in self.arrived]
        return lost + [(token, "notification") for token in self.bounced if token not in self.notices]

    def duplicates(self):
        """(token, recipient) to the times of its copies, where there are several."""
        several = {key: times for key, times in self.arrived.items() if len(times) > 1}
        several.update({(token, "notification"): times for token, times in self.notices.items() if len(times) > 1})
        return several


class Load:
    """Receivers for SITES, and clients that send until stop_clients()."""

    def __init__(self, test, seed, clients=4, pause=0.0):
        self.ledger, self.running = Ledger(), True
        self.receivers = [test.ends(Receiver("127.0.0.1", test.port(), dot=self.ledger.take, keep=False)) for _ in SITES]
        refusing = test.ends(Receiver("127.0.0.1", test.port(), rcpt="550 5.1.1 never"))
        self.routes = [f"{site}:127.0.0.1:{r.port}" for site, r in zip(SITES, self.receivers)]
        self.routes += [f"{REFUSING}:127.0.0.1:{refusing.port}", f"back.test:127.0.0.1:{self.receivers[0].port}"]
        self.threads = [threading.Thread(target=self._client, args=(random.Random(seed * 100 + n), n), daemon=True)
                        for n in range(clients)]
        self.pause, self.relay = pause, None

    def start(self, relay):
        self.relay = relay
        for thread in self.threads:
            thread.start()

    def stop_clients(self):
        self.running = False
        for thread in self.threads:
            thread.join(60)

    def _client(self, rng, number):
        count = 0
        while self.running:
            try:
                with socket.create_connection((self.relay.host, self.relay.port), timeout=30) as conn:
                    session = Session(conn)
                    for _ in range(rng.randint(1, 20)):
                        if not self.running:
                            break
                        count += 1
                        self._one(session, rng, f"{number}t{count}")
                        time.sleep(self.pause)
            except (OSError, EOFError):
                time.sleep(0.05)

    def _one(self, session, rng, token):
        size = rng.choice((200, 2000, 5000, 5000, 60000)) if rng.random() < 0.99 else 1500000
        line = bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz .", k=64)) + b"\r\n"
        body = b"".join(b"%06d " % n + line for n in range(size // 73 + 1))
        kind = rng.random()
        rcpts = ([f"r{token}@{SITES[0]}", f"r{token}@{SITES[1]}"] if kind < 0.3 else
                 [f"r{token}@{REFUSING}"] if kind > 0.93 else [f"r{token}@{rng.choice(SITES)}"])
        header = (b"From: load@back.test\r\nX-Token: %s\r\nX-Checksum: %s\r\n\r\n"
                  % (token.encode(), hashlib.sha256(body).hexdigest().encode()))
        with self.ledger.lock:
            self.ledger.unanswered += 1
        if not session.transaction(f"bounce+{token}@back.test", rcpts, header + body):
            return
        with self.ledger.lock:
            self.ledger.unanswered -= 1
            if rcpts[0].endswith(REFUSING):
                self.ledger.bounced[token] = time.time()
            else:
                self.ledger.promised.update(((token, rcpt), time.time()) for rcpt in rcpts)


class Session:
    """A client that believes nothing but a whole reply line."""

    def __init__(self, conn):
        self.conn, self.stream = conn, conn.makefile("rb")
        self.reply()
        self.say(b"EHLO load.test")

    def reply(self):
        while True:
            line = self.stream.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            if line[3:4] != b"-":
                return line

    def say(self, text):
        self.conn.sendall(text + b"\r\n")
        return self.reply()

    def transaction(self, sender, rcpts, content):
        """True: the message was answered 250."""
        good = self.say(b"MAIL FROM:<%s>" % sender.encode()).startswith(b"250")
        for rcpt in rcpts:
            good = self.say(b"RCPT TO:<%s>" % rcpt.encode()).startswith(b"250") and good
        if not good or not self.say(b"DATA").startswith(b"354"):
            self.say(b"RSET")
            return False
        self.conn.sendall(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return self.reply().startswith(b"250")
