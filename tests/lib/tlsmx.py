"""An MX with STARTTLS (Python's ssl, which is OpenSSL), polite or broken: tests/lib/badmx.py with
the stages starttls, handshake and, behind it, those of badmx again."""
import socket
import ssl

from badmx import CLOSE, BadMX

EHLO = b"250-tls.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n%s250 DSN\r\n"


def context(chain, key, low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_2, ciphers=None):
    """A server's; weak keys and digests are allowed, because tests need them."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.set_ciphers((ciphers or "ALL") + ":@SECLEVEL=0")
    c.minimum_version, c.maximum_version = low, high
    c.load_cert_chain(chain, key)
    return c


class TlsMX(BadMX):
    """script as in badmx.py, and handshake: CLOSE, or bytes to be sent instead of one.

    Messages that came over TLS are in tls_messages, others in messages."""

    def __init__(self, script, tls, offered=True, **options):
        self.tls, self.handshakes, self.tls_messages, self.reused, self.sni = tls, 0, [], 0, []
        self.hellos = []
        if tls:
            tls.sni_callback = lambda _sock, name, _context: self.sni.append(name)
        script = dict({"ehlo": EHLO % (b"250-STARTTLS\r\n" if offered else b""),
                       "starttls": b"220 2.0.0 go\r\n"}, **script)
        self.handshake = script.pop("handshake", None)
        super().__init__(script, **options)

    def dialogue(self, conn):
        self.answer(conn, "banner")
        while True:
            line = self.line(conn)
            if not line.endswith(b"\n"):
                return
            self.commands.append(line)
            verb = line.split()[0].lower().decode() if line.split() else "?"
            said = self.answer(conn, verb if verb in self.script else "rset")
            if verb == "quit":
                self.end(conn)
                return
            if verb == "starttls" and isinstance(said, bytes) and said.startswith(b"220"):
                conn = self.start_tls(conn)
            if verb == "data" and isinstance(said, bytes) and b"354" in said:
                self.take(conn)

    @staticmethod
    def end(conn):
        """close_notify: without one OpenSSL forgets the session."""
        if isinstance(conn, ssl.SSLSocket):
            conn.settimeout(2)
            conn.unwrap()

    @staticmethod
    def line(conn):
        """Byte by byte: what is behind STARTTLS must not be in a buffer."""
        data = b""
        while not data.endswith(b"\n"):
            byte = conn.recv(1)
            if not byte:
                return data
            data += byte
        return data

    def start_tls(self, conn):
        if self.handshake is CLOSE:
            conn.recv(10000)
            raise ConnectionError
        if self.handshake is not None:
            hello = conn.recv(10000)
            self.hellos.append(hello)
            if callable(self.handshake):
                self.handshake(conn)
            conn.sendall(self.handshake)
            conn.recv(10000)
            raise ConnectionError
        # Peeked at: the random bytes of a ClientHello are its 12th to 43rd.
        self.hellos.append(conn.recv(300, socket.MSG_PEEK))
        conn = self.tls.wrap_socket(conn, server_side=True)
        self.handshakes += 1
        self.reused += conn.session_reused
        return conn

    def take(self, conn):
        lines = []
        while True:
            line = self.line(conn)
            if not line:
                raise EOFError
            if line == b".\r\n":
                break
            lines.append(line)
        (self.tls_messages if isinstance(conn, ssl.SSLSocket) else self.messages).append(b"".join(lines))
        self.answer(conn, "dot")
