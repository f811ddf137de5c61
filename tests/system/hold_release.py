#!/usr/bin/python3
"""relay-ctl hold, release, drop and bounce on id, tenant, site and domain; holds survive a restart;
--json is JSON, tables for people are aligned."""
# limit: 200
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Receiver
from relaytest import Client, run, wait_for

CONTENT = b"From: a@b.test\r\nSubject: hold\r\n\r\nhello\r\n"
RULES = """127.0.0.2:allow,RELAYCLIENT="",RELAYTENANT="blue"
127.:allow,RELAYCLIENT="",RELAYTENANT="green"
:deny
"""
SENDER = "s@back.test"


def send(relay, rcpts, source="127.0.0.1"):
    with Client(relay, source) as client:
        return client.message(SENDER, rcpts, CONTENT)


def recipients(receiver):
    return sorted(r for m in receiver.messages for r in m.rcpt_tos)


def still(seconds=1.0):
    time.sleep(seconds)


def check_hold_before(test, relay, mx, selector, rcpt, source="127.0.0.1"):
    """What comes after the hold waits too; release sends it."""
    mx.messages.clear()
    relay.ctl("hold", selector)
    ident = send(relay, [rcpt, "free@else.test"] if not selector.startswith("tenant") else [rcpt], source)
    wait_for(lambda: any(r["recipient"] == rcpt and r["state"] == "held" for r in relay.why(ident)),
             f"{rcpt} is held by {selector}")
    still()
    test.check(rcpt not in recipients(mx), f"hold {selector} holds {rcpt}")
    if not selector.startswith("tenant"):
        test.check("free@else.test" in recipients(mx), "and nobody else")
    row = next(r for r in relay.why(ident) if r["recipient"] == rcpt)
    test.check("hold" in row["reason"].lower() or "held" in row["reason"].lower(), "why says that it is held",
               row["reason"])
    relay.sandbox("restart")
    relay.wait_ready()
    still()
    test.check(rcpt not in recipients(mx), "still after a restart")
    test.check(any(r["state"] == "held" for r in relay.why(ident)), "and why still says so", str(relay.why(ident)))
    kind, _, value = selector.partition(":")
    held = [(r["kind"], r["value"]) for r in relay.ctl_json("stat") if r.get("row") == "hold"]
    test.equal(held, [(kind, value)], "stat lists the hold")
    test.check("HELD BY AN OPERATOR" in relay.ctl("stat").stdout, "for people, too")
    relay.ctl("retry", selector)
    still(0.5)
    test.check(rcpt not in recipients(mx), "retry does not override the hold")
    relay.ctl("release", selector)
    wait_for(lambda: rcpt in recipients(mx), f"release {selector} sends it")
    test.check(True, f"release {selector} sends it")
    relay.wait_empty()


def check_id(test, relay, mx):
    mx.messages.clear()
    mx.rcpt = "450 4.2.0 wait"
    ident, other = send(relay, ["a@id.test"]), send(relay, ["b@id.test"])
    wait_for(lambda: all(r["attempts"] for i in (ident, other) for r in relay.why(i)), "both were tried")
    relay.ctl("hold", f"id:{ident}")
    mx.rcpt = None
    relay.ctl("retry", "all")
    wait_for(lambda: recipients(mx) == ["b@id.test"], "the one that is not held goes")
    still()
    test.equal(recipients(mx), ["b@id.test"], "hold id: holds that message alone")
    test.equal(relay.why(ident)[0]["state"], "held", "its state is held")
    relay.ctl("release", f"id:{ident}")
    wait_for(lambda: "a@id.test" in recipients(mx), "release id: sends it")
    test.check(True, "release id: sends it")
    relay.wait_empty()


def check_drop_bounce(test, relay, mx, back):
    site = None
    for selector in ("id", "tenant:blue", "domain:gone.test", "site"):
        for verb in ("drop", "bounce"):
            mx.rcpt = "450 4.2.0 wait"
            mx.messages.clear()
            back.messages.clear()
            source = "127.0.0.2" if selector.startswith("tenant") else "127.0.0.1"
            ident = send(relay, ["x@gone.test", "y@gone.test"], source)
            rows = wait_for(lambda: len(relay.why(ident)) == 2 and all(r["attempts"] for r in relay.why(ident))
                            and relay.why(ident), "it waits")
            site = rows[0]["site"]
            relay.ctl(verb, {"id": f"id:{ident}", "site": f"site:{site}"}.get(selector, selector))
            relay.wait_empty()
            if verb == "bounce":
                notice = back.wait(1)[0].content.decode()
                words = "returned by the operator of this relay; last: [127.0.0.1]"
                said = " ".join(notice.split())
                test.check(words in said and "said: 450 4.2.0 wait" in said, f"its notice quotes the MX: {selector}", notice)
                test.check("x@gone.test" in notice and "y@gone.test" in notice and "Action: failed" in notice,
                           f"bounce {selector} tells the sender", notice)
            else:
                still(0.7)
                test.equal(len(back.messages), 0, f"drop {selector} tells nobody")
            test.equal(recipients(mx), [], "and nothing is delivered")
    mx.rcpt = None
    test.check("x@gone.test" in relay.log("send"), "the log has it")


def check_output(test, relay, mx):
    mx.rcpt = "450 4.2.0 wait a while"
    idents = [send(relay, [f"u{n}@" + "long-" * n + "name.test"]) for n in range(4)]
    wait_for(lambda: all(relay.why(i)[0]["attempts"] for i in idents), "they wait")
    for words in (["stat"], ["list"], ["list", "tenant:green"], ["list", f"id:{idents[0]}"], ["list", "domain:name.test"],
                  ["why", idents[0]], ["list", "domain:nothing.test"], ["retry", "domain:nothing.test"],
                  ["hold", "tenant:nobody"], ["release", "tenant:nobody"]):
        output = relay.ctl("--json", *words).stdout
        try:
            json.loads(output)
            test.check(True, f"relay-ctl --json {' '.join(words[:2])} is JSON")
        except ValueError as e:
            test.check(False, f"relay-ctl --json {' '.join(words[:2])} is JSON", f"{e}: {output}")
    refused = relay.ctl("--json", "why", "0000000000000000", check=False)
    test.check(refused.returncode != 0 and refused.stderr, "an unknown id is refused: status and text", str(refused))
    test.check(relay.ctl("list", "nonsense:x", check=False).returncode == 100, "a bad selector is status 100")
    lines = [line for line in relay.ctl("list").stdout.splitlines() if line.strip()]
    at = {line.index("@") for line in lines if "@" in line and any(i in line for i in idents)}
    test.check(len(lines) >= 5, "a line a recipient and a head", "\n".join(lines))
    column = lines[0].lower().find("recipient")
    test.check(column >= 0 and all(line[column:].startswith("u") and line[column - 1] == " "
               for line in lines[1:] if any(i in line for i in idents)),
               "columns are aligned under their heads", "\n".join(lines) + str(at))
    relay.ctl("drop", "all")
    relay.wait_empty()


def main(test):
    mx_port, else_port, back_port = test.port(), test.port(), test.port()
    mx = test.ends(Receiver("127.0.0.1", mx_port))
    elsewhere = test.ends(Receiver("127.0.0.1", else_port))
    elsewhere.messages = mx.messages
    back = test.ends(Receiver("127.0.0.1", back_port))
    relay = test.relay(rules=RULES, control={"retry": 600, "probefirst": 600}, routes=[
        f"else.test:127.0.0.1:{else_port}", f"back.test:127.0.0.1:{back_port}", f":127.0.0.1:{mx_port}"])
    check_hold_before(test, relay, mx, "domain:held.test", "a@held.test")
    check_hold_before(test, relay, mx, "tenant:blue", "a@any.test", "127.0.0.2")
    site = next(r["site"] for r in site_rows(relay))
    test.check(site, "the sites have names", str(site_rows(relay)))
    check_id(test, relay, mx)
    check_site_hold(test, relay, mx)
    check_drop_bounce(test, relay, mx, back)
    check_output(test, relay, mx)


def site_rows(relay):
    from relaytest import rows
    return [row for row in rows(relay.ctl_json("stat")) if "window" in row]


def check_site_hold(test, relay, mx):
    mx.rcpt = "450 4.2.0 wait"
    ident = send(relay, ["z@site.test"])
    site = wait_for(lambda: relay.why(ident)[0]["attempts"] and relay.why(ident)[0]["site"], "its site is known")
    relay.ctl("hold", f"site:{site}")
    mx.rcpt = None
    mx.messages.clear()
    check_hold_before(test, relay, mx, f"site:{site}", "q@site.test")


run(main)
