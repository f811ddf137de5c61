#!/usr/bin/python3
"""Who runs as whom, with what open, and that a process under relayd's or relayr's uid reaches
neither its siblings nor the queue."""
# limit: 120
# asan: no
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from badmx import HANG, BadMX
from relaytest import TOP, Client, process_stat, run, run_program, wait_for

USERS = dict(zip(("smtpd", "queue", "send", "remote", "bounce", "keyd", "log", "authd"),
                 (TOP / "conf-users").read_text().split()[:8]))
PROBE = r"""
import ctypes, os, socket, sys
what, target = sys.argv[1], sys.argv[2]
try:
    if what == "open":
        with open(target, "rb") as f: f.read(1)
    elif what == "list":
        os.listdir(target)
    elif what == "ptrace":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(16, int(target), 0, 0): raise OSError(ctypes.get_errno(), "ptrace")
    elif what == "readv":
        libc = ctypes.CDLL(None, use_errno=True)
        class Iov(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
        here = ctypes.create_string_buffer(8)
        a, b = Iov(ctypes.addressof(here), 8), Iov(0x400000, 8)
        if libc.process_vm_readv(int(target), ctypes.byref(a), 1, ctypes.byref(b), 1, 0) < 0:
            raise OSError(ctypes.get_errno(), "process_vm_readv")
    elif what == "connect":
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(target)
except PermissionError:
    sys.exit(13)
except OSError as e:
    print(e)
    sys.exit(1)
"""
DENIED, REACHED = 13, 0


def probe(user, what, target, groups=()):
    words = ["setpriv", "--reuid", user, "--regid", user]
    words += ["--groups", ",".join(groups)] if groups else ["--clear-groups"]
    return run_program(*words, "/usr/bin/python3", "-c", PROBE, what, target, check=False, cwd="/").returncode


def status(pid, field):
    return re.search(rf"^{field}:[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M).group(1)


def open_fds(pid):
    """Number to a kind: socket, pipe, memfd, or a path."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        found[int(name)] = re.sub(r":\[\w+\]$", "", link).replace("anon_inode:", "")
    return found


def check_users(test, running):
    for name, (pid, user) in running.items():
        uid = run_program("id", "-u", user).stdout.strip()
        gid = run_program("id", "-g", user).stdout.strip()
        test.equal(status(pid, "Uid").split(), [uid] * 4, f"{name} runs as {user}, all four uids")
        test.equal(status(pid, "Gid").split(), [gid] * 4, f"{name} runs with {user}'s group")
        test.check(set(status(pid, "Groups").split()) <= {gid}, f"{name} has no further groups", status(pid, "Groups"))
        test.equal(status(pid, "CapEff").strip("0"), "", f"{name} has no capability")
        test.equal(status(pid, "NoNewPrivs"), "1", f"{name} has no-new-privs")
        if name in ("relay-smtpd", "relay-keyd", "relay-authd", "worker", "resolver"):
            test.equal(status(pid, "Seccomp"), "2", f"{name} runs under a seccomp filter")


def check_siblings(test, running):
    """A process under the same uid, as one taken over by a peer would be."""
    for name, (pid, user) in running.items():
        for thing in ("mem", "environ", "maps"):
            test.equal(probe(user, "open", f"/proc/{pid}/{thing}"), DENIED, f"{user} cannot read {name}'s {thing}")
        test.equal(probe(user, "list", f"/proc/{pid}/fd"), DENIED, f"{user} cannot list {name}'s fds")
        test.equal(probe(user, "ptrace", pid), DENIED, f"{user} cannot ptrace {name}")
        test.equal(probe(user, "readv", pid), DENIED, f"{user} cannot process_vm_readv {name}")
    own = os.getpid()
    test.equal(probe(USERS["smtpd"], "open", f"/proc/{own}/status"), REACHED, "(the probe itself works)")


def check_files(test, relay):
    queue, run_directory = relay.directory / "queue", relay.directory / "run"
    for who in ("smtpd", "send", "remote", "bounce", "log", "authd"):
        test.equal(probe(USERS[who], "list", queue), DENIED, f"{USERS[who]} cannot open queue/")
    test.equal(probe("nobody", "list", queue), DENIED, "nobody cannot open queue/") if group_of_nobody() else None
    test.equal(probe(USERS["smtpd"], "connect", run_directory / "intake"), REACHED, "relayd may connect to run/intake")
    for who in ("remote", "bounce", "log", "authd"):
        test.equal(probe(USERS[who], "connect", run_directory / "intake"), DENIED, f"{USERS[who]} may not")
        test.equal(probe(USERS[who], "connect", run_directory / "inject"), REACHED, f"{USERS[who]} may run/inject, as all")
    for name in ("keyd", "authd"):
        test.equal(probe(USERS["smtpd"], "connect", run_directory / name), REACHED, f"relayd may connect to run/{name}")
        for who in ("remote", "bounce", "log", "send", "authd"):
            test.equal(probe(USERS[who], "connect", run_directory / name), DENIED, f"{USERS[who]} may not")
    for who in ("smtpd", "keyd", "remote", "authd"):
        test.equal(probe(USERS[who], "open", relay.directory / "control/tls/ec.key"), DENIED,
                   f"{USERS[who]} cannot read a private key")
    for who in ("smtpd", "remote", "bounce", "authd"):
        test.equal(probe(USERS[who], "connect", run_directory / "ctl"), DENIED, f"{USERS[who]} may not use run/ctl")
    test.equal(probe(USERS["log"], "connect", run_directory / "ctl", groups=["relayctl"]), REACHED,
               "a member of relayctl may")
    test.equal(writable(USERS["authd"], relay.directory), [], f"{USERS['authd']} may write nowhere in the relay's directory")
    for path in queue.rglob("*"):
        mode = path.lstat().st_mode
        test.check(stat.S_IMODE(mode) & 0o077 == 0, f"{path.relative_to(relay.directory)} is relayq's alone", oct(mode))


def writable(user, directory):
    """What of it that user may write to; run/inject is a socket for all."""
    done = run_program("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "find", directory,
                       "!", "-type", "l", "!", "-name", "inject", "-writable", check=False)
    return done.stdout.splitlines()


def group_of_nobody():
    return run_program("id", "-gn", "nobody", check=False).stdout.strip() == "nobody"


def kinds(fds):
    return {n: k.split("/")[-1] if k.startswith("/") else k for n, k in sorted(fds.items())}


def check_fds(test, running):
    """The program's own table of descriptors, and nothing that is another's."""
    fds = {name: open_fds(pid) for name, (pid, _) in running.items()}
    wanted = {"relay-send": {2, 3, 5, 7}, "relay-queue": {2, 3, 4, 5, 6}, "relay-bounce": {2, 6},
              "relay-remote": {2, 7}, "relay-smtpd": {0, 1, 2}, "worker": {2}}
    for name, numbers in wanted.items():
        test.check(numbers <= set(fds[name]), f"{name} has fds {sorted(numbers)}", str(kinds(fds[name])))
    for name in fds:
        if name != "relay-queue":
            files = [k for k in fds[name].values() if k.startswith("/") and "memfd" not in k and k != "/dev/null"]
            test.equal(files, [], f"{name} has no file open but /dev/null")
        test.check(not any("queue/" in k for k in fds[name].values()) or name == "relay-queue",
                   f"{name} has nothing of queue/ open")
    sockets = [k for k in fds["worker"].values() if k == "socket"]
    test.equal(len(sockets), 2, "a worker has two sockets: relay-send's channel and its MX")
    test.check(sum("memfd" in k for k in fds["worker"].values()) <= 1, "and one message at the most",
               str(kinds(fds["worker"])))
    test.equal(sum(k == "socket" for k in fds["relay-remote"].values()), 1, "the master has one socket, relay-send's")
    for name in fds:
        print(f"       {name}: {kinds(fds[name])}")


def check_inherited(test, relay):
    """What relay-start's parent left open reaches none of the programs; svc -t's end is no failure."""
    relay.down()
    secret = test.path("parent") / "secret"
    secret.write_text("x")
    words = 'exec 3<"$0" 6<"$0" 19<"$0" 20<"$0" 40<"$0" 300<"$0"; exec "$1/bin/relay-start" -d "$1"'
    # Appended to: some of them have an open file of their own of it, and must not write over the others.
    with open(test.directory / "started.log", "ab") as log:
        send = subprocess.Popen(["bash", "-c", words, str(secret), str(relay.directory)], stdout=log, stderr=log,
                                start_new_session=True)
    def family():
        found = [(int(p), process_stat(p)) for p in os.listdir("/proc") if p.isdigit()]
        return {p: s[0] for p, s in found if s and s[2] == send.pid and s[3] != "Z"}
    try:
        wait_for(lambda: {"relay-queue", "relay-send", "relay-bounce", "relay-remote"} <= set(family().values()) and
                 run_program(*relay.command("stat"), check=False).returncode == 0, "relay-start has started all")
        for pid, name in family().items():
            test.check(str(secret) not in open_fds(pid).values(), f"{name} has nothing of relay-start's parent open",
                       str(open_fds(pid)))
    finally:
        send.terminate()
        send.wait()
    wait_for(lambda: not family(), "all of them end with relay-send")
    text = (test.directory / "started.log").read_text()
    test.check("fatal" not in text and "status=0" in text, "an orderly stop logs nothing fatal", text)


def main(test):
    slow = BadMX({"dot": HANG})
    certificates.self_signed(test.path("relay") / "control/tls", "ec")
    relay = test.relay(routes=[f":127.0.0.1:{slow.port}"],
                       control={"servercert": "tls/ec.pem tls/ec.key", "checkpassword": "/bin/false true"})
    relay.send("a@b.test", ["c@d.test"], b"Subject: x\r\n\r\nbody\r\n")
    def workers():
        return [p for p in relay.pids("relay-remote") if process_stat(p)[1] in relay.pids("relay-remote")]
    wait_for(lambda: len(workers()) >= 2, "a worker delivers")
    client = Client(relay)
    wait_for(lambda: slow.commands and "worker at its dot", "the MX was asked")
    running = {name: (relay.pids(name)[0], USERS[user]) for name, user in (
        ("relay-smtpd", "smtpd"), ("relay-queue", "queue"), ("relay-send", "send"), ("relay-bounce", "bounce"),
        ("relay-remote", "remote"))}
    for name in ("keyd", "authd"):
        running[f"relay-{name}"] = (relay.pids(f"relay-{name}")[1], USERS[name])
    running["resolver"], running["worker"] = (workers()[0], USERS["remote"]), (workers()[1], USERS["remote"])
    check_users(test, running)
    check_siblings(test, running)
    check_files(test, relay)
    check_fds(test, running)
    client.noop()
    test.equal(client.noop()[0], 250, "and all of them are still alive")
    test.equal(relay.stat()["messages"], 1, "with the message")
    client.close()
    check_inherited(test, relay)


run(main, root=True, tools=["setpriv"])
