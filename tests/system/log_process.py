#!/usr/bin/python3
"""relay-log as a process: its patterns beside multilog's own, TERM and ALRM, a writer that dies,
lines of any length, what it may do; and in a service under svscan, made by relay-conf -p."""
# limit: 120
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import BUILD, run, run_program, wait_for

PROGRAM = BUILD / "bin/relay-log"
STAMP = re.compile(r"^@[0-9a-f]{24} ", re.M)


def start(*words, **options):
    return subprocess.Popen([PROGRAM, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def filtered(*words, log):
    done = subprocess.run([PROGRAM, *words], input=log.encode(), capture_output=True, timeout=60)
    return done.stdout.decode(), done.stderr.decode(), done.returncode


def multilog(directory, *words, log):
    """What multilog WORDS logs."""
    before = (directory / "current").read_text() if (directory / "current").exists() else ""
    subprocess.run(["multilog", *words, str(directory)], input=log.encode(), check=True)
    return (directory / "current").read_text()[len(before):]


def check_patterns(test):
    """Random actions and lines, of letters that no stamp has; multilog is what is right."""
    chance = random.Random(4)
    directory = test.path("patterns")
    wrong = 0
    for round_number in range(60):
        actions = [chance.choice("+-") + "".join(chance.choice("yz* <") for _ in range(chance.randrange(7)))
                   for _ in range(chance.randrange(1, 5))]
        lines = ["".join(chance.choice("yz <") for _ in range(chance.randrange(9))) for _ in range(40)]
        lines += ["y*z", "**", "7 < y", "7 < z y", "12345 = yz"]
        log = "7 = connect yz\n" + "\n".join(lines) + "\n"
        stamp = ["t"] if round_number % 3 == 0 else []
        wanted = STAMP.sub("", multilog(directory, *stamp, *actions, log=log))
        got = filtered("smtp", *stamp, *actions, "cat", log=log)
        if got != (wanted, "", 0):
            wrong += 1
            test.check(False, f"{stamp + actions}", (got, wanted))
    test.equal(wrong, 0, "60 scripts select what multilog selects")
    long = "Subject: " + "x" * 3000 + " end\n"
    test.equal(len(filtered("smtp", "-*", "+Subject: *end", "cat", log=long)[0]), len(long), "beyond 1000 characters, too")
    log = "7 = connect client=1.2.3.4\n7 < MAIL FROM:<a@b>\n7 > 250 ok\n7 > 354 go\n7 < From: a\n7 < Subject: x\n"
    moved = multilog(directory, "t", "-*", "+* * < From:*", log=log)
    now = test.path("moved")
    test.equal(filtered("smtp", "t", "-*", "+* * < From:*", "multilog", "t", str(now), log=log), ("", "", 0), "a script moved over")
    test.equal(STAMP.sub("", (now / "current").read_text()), STAMP.sub("", moved), "logs what it logged")


def check_term(test):
    """TERM in the middle of a line: that line to its end, the rest is for the next."""
    log = b"".join(b"a line of number %d\n" % n for n in range(2000))
    for cut in (0, 5, 19, 1000, 20001):
        r, w = os.pipe()
        out = []
        first = subprocess.Popen([PROGRAM, "smtp", "cat"], stdin=r, stdout=subprocess.PIPE)
        os.write(w, log[:cut])
        wait_for(lambda: waits_for_input(first.pid), "it has read that", 10)
        first.send_signal(signal.SIGTERM)
        os.write(w, log[cut:])
        out.append(first.communicate(timeout=20)[0])
        second = subprocess.Popen([PROGRAM, "smtp", "cat"], stdin=r, stdout=subprocess.PIPE)
        os.close(r)
        os.close(w)
        out.append(second.communicate(timeout=20)[0])
        test.check(b"".join(out) == log and (first.returncode, second.returncode) == (0, 0),
                   f"TERM after {cut} bytes: nothing is lost, nothing twice", (len(out[0]), len(out[1]), first.returncode))
        test.check(out[0].endswith(b"\n") or not out[0], "and no line is torn", out[0][-30:])


def waits_for_input(pid):
    return "poll" in Path(f"/proc/{pid}/wchan").read_text()


def keeper_and_writer(process):
    def both():
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            pid, name, parent = int(text.split()[0]), text[text.index("(") + 1:text.rindex(")")], int(text.rsplit(")", 1)[1].split()[1])
            found[pid] = (name, parent)
        keeper = next((p for p, (_, parent) in found.items() if parent == process.pid), None)
        writer = next((p for p, (name, parent) in found.items() if parent == keeper and name == "multilog"), None)
        return keeper and writer and (keeper, writer)
    return wait_for(both, "the writer runs", 10)


def check_signals(test):
    directory = test.path("signals")
    process = start("smtp", "multilog", "t", directory)
    keeper, writer = keeper_and_writer(process)
    process.stdin.write(b"7 = connect one\n")
    process.stdin.flush()
    wait_for(lambda: "one" in (directory / "current").read_text(), "a line is out at once")
    process.send_signal(signal.SIGALRM)
    wait_for(lambda: list(directory.glob("@*.s")), "ALRM: multilog begins a new file")
    status = Path(f"/proc/{process.pid}/status").read_text()
    test.check(re.search(r"^Seccomp:\s*2$", status, re.M) is not None, "relay-log is confined", status)
    test.check(re.search(r"^Seccomp:\s*2$", Path(f"/proc/{writer}/status").read_text(), re.M) is None, "multilog is not")
    ignored = int(re.search(r"^SigIgn:\s*(\S+)", Path(f"/proc/{writer}/status").read_text(), re.M).group(1), 16)
    blocked = int(re.search(r"^SigBlk:\s*(\S+)", Path(f"/proc/{writer}/status").read_text(), re.M).group(1), 16)
    test.equal((ignored & (1 << 12 | 1 << 13 | 1 << 14), blocked), (0, 0), "the writer has its signals as usual")
    os.kill(keeper, signal.SIGTERM)
    process.stdin.write(b"7 = connect two")
    process.stdin.close()
    test.equal(process.wait(20), 0, "the end of the log is its end")
    test.check("two\n" in (directory / "current").read_text(), "a last line without its end is logged")
    test.equal((directory / "current").stat().st_mode & 0o777, 0o744, "and multilog has ended as it should")


def check_dead_writer(test):
    directory = test.path("dead")
    process = start("smtp", "multilog", "t", directory)
    _, writer = keeper_and_writer(process)
    os.kill(writer, signal.SIGKILL)
    test.equal(process.wait(20), 111, "multilog is killed: status 111 without waiting for a line")
    test.check(b"relay-log: fatal: multilog was killed by signal 9" in process.stderr.read(), "and says so")
    process = start("smtp", "true")
    test.equal(process.wait(20), 111, "a writer that just ends: status 111")
    test.check(b"fatal: true ended with status 0 while" in process.stderr.read(), "and says so")
    got = filtered("smtp", "/nonexistent/multilog", log="x\n")
    test.check(got[2] == 111 and "unable to run /nonexistent/multilog: No such file" in got[1], "no writer: named, 111", got)
    got = filtered("smtp", "sh", "-c", "cat > /dev/null; exit 3", log="x\n")
    test.check(got[2] == 111 and "sh ended with status 3" in got[1], "a writer that fails in the end: 111", got)
    process = start("smtp", "multilog", "t", directory)
    keeper, writer = keeper_and_writer(process)
    process.kill()
    process.wait()
    wait_for(lambda: not Path(f"/proc/{writer}").exists() and not Path(f"/proc/{keeper}").exists(),
             "relay-log is killed: its writer ends, too")


def check_lines(test):
    long = "x" * 1000000
    out = filtered("smtp", "cat", log=f"a\n{long}\nb\n")[0].split("\n")
    test.equal((out[0], len(out[1]), out[1][-13:], out[2]), ("a", 4095, " [cut 995918]", "b"), "a line of a million bytes is cut")
    out = filtered("smtp", "cat", log=f"7 = {long}")[0]
    test.check(re.fullmatch(r"7 = x+ \[cut \d+\]\n", out) and len(out) == 4096, "so is a fact", out[-40:])
    out = subprocess.run([PROGRAM, "smtp", "cat"], input=b"\x1b[31m \xff \xc3\xa4 \x00\n", capture_output=True).stdout
    test.equal(out, b"\\x1b[31m \\xff \xc3\xa4 \\x00\n", "control bytes and what is no UTF-8 are escaped")


SERVER = r"""#!/usr/bin/python3
import sys
sys.stdout.write("220 test\r\n")
sys.stdout.flush()
for line in sys.stdin:
    sys.stdout.write("354 go\r\n" if line == "DATA\r\n" else "250 ok\r\n" if line != "x\r\n" else "")
    sys.stdout.flush()
"""


def check_service(test):
    services, port = test.path("services"), test.port()
    service = services / "smtp"
    service.mkdir()
    (service / "server").write_text(SERVER)
    (service / "run").write_text(f"#!/bin/sh\nexec tcpserver -v -RHl0 127.0.0.1 {port} recordio ./server 2>&1\n")
    for name in ("server", "run"):
        (service / name).chmod(0o755)
    run_program(BUILD / "bin/relay-conf", "-b", BUILD / "bin", "-p", "smtp", service)
    svscan = subprocess.Popen(["svscan", services], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    current = service / "log/main/current"

    def stop():
        svscan.terminate()
        svscan.wait()
        run_program("svc", "-dx", service, service / "log", check=False)
        wait_for(lambda: run_program("svok", service / "log", check=False).returncode, "the service has ended", 30)
    test.stack.callback(stop)

    def session(word):
        run_program(sys.executable, "-c", "import socket, sys\np = socket.create_connection(('127.0.0.1', %d))\n"
                    "f = p.makefile('rwb')\nf.readline()\nf.write(b'HELP %s\\r\\n')\nf.flush()\nf.readline()\n" % (port, word))
    wait_for(lambda: run_program("svok", service / "log", check=False).returncode == 0 and current.exists(), "the service runs")
    wait_for(lambda: "status: 0/" in current.read_text(), "tcpserver's lines are in the log")
    session("first")
    wait_for(lambda: "< HELP first" in current.read_text(), "a session is in the log")
    old = int(run_program("svstat", service / "log").stdout.split("pid ")[1].split(")")[0])
    writer = next(int(p.parent.name) for p in Path("/proc").glob("[0-9]*/cmdline")
                  if f"{service}/log/main" in (p.read_bytes().decode(errors="replace")) and p.read_bytes().startswith(b"multilog"))
    os.kill(writer, signal.SIGKILL)
    wait_for(lambda: f"pid {old})" not in run_program("svstat", service / "log").stdout, "multilog dies: supervise starts both again")
    session("second")
    wait_for(lambda: "< HELP second" in current.read_text(), "and the log goes on")
    run_program("svc", "-t", service / "log")
    for n in range(5):
        session(f"third{n}")
    wait_for(lambda: all(f"< HELP third{n}" in current.read_text() for n in range(5)), "svc -t: nothing is lost")


def main(test):
    check_patterns(test)
    check_term(test)
    check_signals(test)
    check_dead_writer(test)
    check_lines(test)
    check_service(test)


run(main, tools=["multilog", "svscan", "tcpserver", "recordio"])
