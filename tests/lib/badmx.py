"""A hostile MX: a thread on 127.0.0.1 whose every session follows a script.

A script maps a stage (banner, helo, mail, rcpt, data, dot, rset, quit) to what
is sent there: bytes; a list, one for each time the stage comes; or a function
of the connection. CLOSE closes, HANG says nothing. What is not in the script
is answered as a polite MX does."""

import socket
import threading
import time

CLOSE, HANG = object(), object()

POLITE = dict(
    banner=b"220 bad.example ESMTP\r\n",
    ehlo=b"250-bad.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 DSN\r\n",
    helo=b"250 bad.example\r\n",
    mail=b"250 2.1.0 ok\r\n", rcpt=b"250 2.1.5 ok\r\n", data=b"354 go on\r\n",
    dot=b"250 2.0.0 taken\r\n", rset=b"250 2.0.0 ok\r\n", quit=b"221 bye\r\n")


class BadMX:
    def __init__(self, script, host="127.0.0.1", port=0, pipelining=True):
        self.script = dict(POLITE, **{k: list(v) if isinstance(v, list) else v
                                      for k, v in script.items()})
        if not pipelining and isinstance(self.script["ehlo"], bytes):
            self.script["ehlo"] = self.script["ehlo"].replace(b"250-PIPELINING\r\n", b"")
        self.commands, self.messages, self.sessions = [], [], 0
        self.listener = socket.create_server((host, port))
        self.host, self.port = self.listener.getsockname()[:2]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sessions += 1
            threading.Thread(target=self.session, args=(conn,), daemon=True).start()

    def answer(self, conn, stage):
        what = self.script[stage]
        if isinstance(what, list):
            what = what.pop(0) if len(what) > 1 else what[0]
        if what is CLOSE:
            raise ConnectionError
        if what is HANG:
            time.sleep(600)
        if callable(what):
            what(conn)
        else:
            conn.sendall(what)
        return what

    def session(self, conn):
        try:
            self.dialogue(conn)
        except (OSError, EOFError):
            pass
        conn.close()

    def dialogue(self, conn):
        self.answer(conn, "banner")
        stream = conn.makefile("rb")
        while True:
            line = stream.readline()
            if not line.endswith(b"\n"):
                return
            self.commands.append(line)
            verb = line.split()[0].lower().decode() if line.split() else "?"
            said = self.answer(conn, {"from": "mail"}.get(verb, verb if verb in self.script else "rset"))
            if verb == "quit":
                return
            if verb == "data" and isinstance(said, bytes) and b"354" in said:
                lines = []
                while True:
                    line = stream.readline()
                    if not line:
                        return
                    if line == b".\r\n":
                        break
                    lines.append(line)
                self.messages.append(b"".join(lines))
                self.answer(conn, "dot")

    def close(self):
        # close() alone would leave the listener to the thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def trickle(data, pause=0.3):
    def send(conn):
        for i in range(len(data)):
            conn.sendall(data[i:i + 1])
            time.sleep(pause)
    return send
