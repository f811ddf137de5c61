#!/usr/bin/python3
# limit: 200
"""Runs the dialogues in tests/dialogue/smtpd/*.txt against relay-smtpd.

A file has cases, each begun by "=== name". A line of a case is one of
  env NAME=VALUE     (env NAME alone: unset)      control NAME: text    (escapes as in Python)
  C: line            sent with CRLF               c: text               sent as it is, escapes undone
  C*N: line          sent N times                 S: glob               the next reply line; * is any text
  S*N: glob          N such lines                 END                   the connection is closed now
  verdict CODE text  for the next submission      verdict drop          the intake connection breaks
  hello CODE text    the intake refuses           big CODE text         no big file is given
  drop               all intake connections break M: field=glob         of the last message taken
  B: text            its content behind our Received line             NONE: no message was taken
  LOG: glob          a line of the log, without its pid               NOLOG: glob
  EXIT: status
The default client is 192.0.2.7 with RELAYCLIENT set, control/me relay.test.
"""
import os
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from smtpd_process import Home, Session  # noqa: E402


def unescape(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


def glob(pattern, text):
    parts = (re.escape(p) for p in pattern.split("*"))
    return re.fullmatch(".*".join(parts), text, re.S) is not None


class Case:
    def __init__(self, name):
        self.name, self.lines = name, []


class Failure(Exception):
    pass


def read_cases(path):
    cases = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if line.startswith("=== "):
            cases.append(Case(f"{path.name}:{number}: {line[4:]}"))
        elif line and not line.startswith("#"):
            cases[-1].lines.append((number, line))
    return cases


def expect_line(session, pattern):
    line = session.line()
    if not line.endswith(b"\r\n"):
        raise Failure(f"expected {pattern!r}, got {line!r}")
    text = line[:-2].decode("utf-8", "surrogateescape")
    if "\r" in text or len(line) > 512:
        raise Failure(f"a bad reply line: {line!r}")
    if not glob(pattern, text):
        raise Failure(f"expected {pattern!r}, got {text!r}")


class Run:
    def __init__(self, home, case):
        self.home, self.case = home, case
        self.env, self.files, self.session, self.ended = {}, {}, None, False
        intake = home.intake
        intake.messages, intake.verdicts, intake.errors, intake.hellos = [], [], [], []
        intake.hello_answer = intake.big_answer = None

    def start(self):
        if not self.session:
            self.home.control(self.files)
            self.session = Session(self.home, self.env)

    def end(self):
        """Waits for the process, after which the log is whole."""
        if not self.ended:
            self.start()
            self.session.sock.close()
            self.status = self.session.process.wait(timeout=30)
            self.ended = True

    def message(self):
        if not self.home.intake.messages:
            raise Failure("no message was taken")
        return self.home.intake.messages[-1]

    def logged(self, pattern):
        self.end()
        return any(glob(pattern, line.partition(" ")[2]) for line in self.session.log())

    def set_up(self, word, rest):
        if word == "env":
            name, equals, value = rest.partition("=")
            self.env[name] = value if equals else None
        elif word == "control":
            name, _, text = rest.partition(": ")
            self.files[name] = unescape(text)
        elif word == "hello":
            self.home.intake.hello_answer = rest.split(" ", 1)
        elif word == "big":
            self.home.intake.big_answer = rest.split(" ", 1)
        elif word == "verdict":
            self.home.intake.verdicts.append("drop" if rest == "drop" else tuple(rest.split(" ", 1)))
        else:
            return False
        return True

    def check(self, word, rest):
        if word == "M:":
            name, _, pattern = rest.partition("=")
            if not glob(pattern.replace("\\r\\n", "\r\n"), self.message()[name]):
                raise Failure(f"{name} is {self.message()[name]!r}")
        elif word == "B:":
            if self.message()["body"] != unescape(rest):
                raise Failure(f"the content is {self.message()['body'][:300]!r}")
        elif word == "NONE":
            if self.home.intake.messages:
                raise Failure("a message was taken")
        elif word == "LOG:":
            if not self.logged(rest):
                raise Failure("not in the log:\n" + "\n".join(self.session.log()[-30:]))
        elif word == "NOLOG:":
            if self.logged(rest):
                raise Failure("in the log: " + rest)
        elif word == "EXIT:":
            self.end()
            if self.status != int(rest):
                raise Failure(f"exit status {self.status}")
        else:
            raise Failure("unknown directive")

    def talk(self, word, rest):
        kind, _, count = word.rstrip(":").partition("*")
        count = int(count or 1)
        if kind == "C":
            self.session.send((rest.encode() + b"\r\n") * count)
        elif kind == "c":
            self.session.send(unescape(rest) * count)
        elif kind == "S":
            for _ in range(count):
                expect_line(self.session, rest)
        elif kind == "END":
            line = self.session.line()
            if line:
                raise Failure(f"expected the end, got {line!r}")
        elif kind == "drop":
            self.home.intake.drop()
        else:
            return False
        return True

    def step(self, line):
        word, _, rest = line.partition(" ")
        if self.set_up(word, rest):
            return
        self.start()
        if not self.talk(word, rest):
            self.check(word, rest)


def run_case(home, case):
    run = Run(home, case)
    number = 0
    try:
        for number, line in case.lines:
            run.step(line)
        run.end()
        if home.intake.errors:
            raise Failure("intake: " + home.intake.errors[0])
        if run.status not in (0, 111):
            raise Failure(f"exit status {run.status}: " + "\n".join(run.session.log()[-20:]))
        return True
    except (Failure, OSError) as e:
        print(f"FAILED {case.name}, line {number}: {e}")
        if run.session:
            run.session.process.kill()
            print("  log: " + "\n       ".join(run.session.log()[-12:]))
        return False


def main():
    failed = total = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_DIR")) as directory:
        home = Home(directory)
        for path in sorted((Path(__file__).parent / "smtpd").glob("*.txt")):
            for case in read_cases(path):
                if len(sys.argv) > 1 and sys.argv[1] not in case.name:
                    continue
                total += 1
                failed += not run_case(home, case)
    print(f"{total} dialogues, {failed} failed")
    return 1 if failed or not total else 0


sys.exit(main())
