#!/usr/bin/python3
"""relay-ctl stat: domains and sites in trouble come first and say why; a selection narrows it; 80 columns."""
# limit: 60
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from relaytest import run
from send_process import Send

TLS = "control/tlspolicy demands TLS (encrypt): it does not offer STARTTLS"
REPLY = "450 4.7.1 Error: too much mail from 127.0.0.1, " + "please come back later " * 14 + "THE END"


def start(test):
    directory = test.path("send")
    (directory / "control").mkdir()
    (directory / "control/tlspolicy").write_text("strict.test:encrypt\n")
    send = test.ends(Send(directory, {"retry": "600", "probefirst": "300", "probemax": "600", "timeoutidle": "60"}))
    normal = send.resolve
    send.resolve = lambda name: ("t", 0, "SERVFAIL from 127.0.0.1", [], []) if "nodns" in name else normal(name)
    send.connect = connect
    send.mx = answer
    send.told()
    send.pump(lambda: "queue messages" in send.log_text())
    return send


def connect(w):
    host = w.hosts[0][0]
    if "strict" in host:
        w.say("N", 0, "tt", 0, "4.7.4", "mx.strict.test[127.0.0.1]", TLS)
        w.close()
    elif "down" in host:
        w.no_session("Connection refused")
    else:
        w.greet()


def answer(w):
    host = w.hosts[0][0]
    if "rate" in host and w.jobs > 1:
        w.outcomes("t", 450, "4.7.1", REPLY, "m")
        w.end()
    elif "busy" in host:
        w.outcomes("t", 450, "4.2.0", "450 4.2.0 wait", ".")
        w.end()
    else:
        w.deliver()


def fill(send):
    """Well sites first, so that the order is not that of the lists."""
    for name in ("well1", "well2", "busy"):
        send.message(f"u@{name}.test", tenant="green")
    send.pump(lambda: len(send.results) == 3)
    send.pump(lambda: [send.message(f"u@rate.test", tenant="green"), "kind=rate" in send.log_text()][1])
    for n in range(3):
        send.message(f"u{n}@nodns.test", tenant="blue")
        send.message(f"u{n}@strict.test", tenant="green")
    send.message(["u@down.test", "v@down.test"], tenant="blue")
    send.message(["u@" + "long-name." * 5 + "down.test"], tenant="blue")
    send.pump(lambda: all(f"kind={kind}" in send.log_text() for kind in ("dns", "tls", "down")) and
              send.log_text().count("kind=down") == 2)


def rows(send, *words):
    return json.loads(send.ctl("--json", "stat", *words).stdout)


def of(found, kind):
    return [r for r in found if r["row"] == kind]


def check_all(test, send):
    found = rows(send)
    domains = {r["domain"]: r for r in of(found, "domain")}
    test.equal(sorted(domains), ["nodns.test", "strict.test"], "the domains in trouble, and no others")
    test.equal([(r["kind"], r["waiting"], r["recipients"], r["failures"]) for _, r in sorted(domains.items())],
               [("dns", 3, 3, 1), ("tls", 3, 3, 1)], "with kind, how many wait, how often it failed")
    test.equal([r["trouble"] for _, r in sorted(domains.items())], ["SERVFAIL from 127.0.0.1", TLS], "the reason")
    test.check(all(250000 < r["retry_ms"] - r["trouble_ms"] < 350000 for r in domains.values()), "and the next try", domains)
    sites = [(r["site"], r["signal"]) for r in of(found, "site")]
    test.equal([s for _, s in sites[:3]], ["down", "down", "rate"], "sites in trouble come first")
    test.equal(len(sites), 7, "then all others")
    kinds = [r["row"] for r in found]
    test.equal(kinds, ["relay"] + ["domain"] * 2 + ["site"] * 7 + ["tenant"] * 2, "what is well comes last")


def check_people(test, send):
    text = send.ctl("stat").stdout
    print(text)
    wide = [line for line in text.splitlines() if len(line) > 80 and "long-name" not in line]
    test.equal(wide, [], "it has 80 columns")
    flat = " ".join(text.split())
    for words in ("SERVFAIL from 127.0.0.1", TLS, "down, 0s ago: Connection refused", "messages a minute; rate, ",
                  "more site without mail or connections"):
        test.check(words in flat or words.replace("0s ago", "1s ago") in flat, f"people see {words}", text)
    test.check("mx.well1.test" in text, "a site with a connection is listed", text)
    at = [text.index(w) for w in ("mx.down.test", "mx.rate.test", "mx.well1.test")]
    test.equal(at, sorted(at), "in that order")
    table = send.ctl("stat", "--wide").stdout
    head = next(line for line in table.splitlines() if line.startswith("SITE"))
    test.check("CEILING" in head and "TROUBLE" in head, "--wide has every column", head)
    test.check("THE END" in table and "THE END" not in text, "and a reply's end", table)
    test.check("mx.strict.test" in table and "mx.strict.test" not in text, "and sites without mail or connections", table)


def check_selection(test, send):
    send.ctl("hold", "tenant:blue")
    send.ctl("hold", "domain:elsewhere.test")
    send.ctl("hold", "site:mx.down.test")
    ident = next(r["id"] for r in json.loads(send.ctl("--json", "list", "domain:down.test").stdout))
    reason = json.loads(send.ctl("--json", "why", ident).stdout)[0]["reason"]
    test.check("an operator holds tenant blue, site mx.down.test;" in reason and
               "; also: mx.down.test gives no connection" in reason, "why names holds and what else binds", reason)
    ident = next(r["id"] for r in json.loads(send.ctl("--json", "list", "domain:nodns.test").stdout))
    reason = json.loads(send.ctl("--json", "why", ident).stdout)[0]["reason"]
    test.check("also: DNS gives no answer" in reason, "DNS, too", reason)
    send.ctl("release", "site:mx.down.test")
    found = rows(send, "tenant:blue")
    first = found[0]
    test.equal((first["row"], first["kind"], first["value"], first["messages"], first["recipients"], first["held"]),
               ("selected", "tenant", "blue", 5, 6, 6), "stat tenant:X begins with its mail")
    test.equal([(r["kind"], r["value"]) for r in of(found, "hold")], [("tenant", "blue")], "the holds on it")
    test.equal([(r["domain"], r["recipients"]) for r in of(found, "domain")], [("nodns.test", 3)], "its domains in trouble")
    test.equal(["down.test" in r["site"] for r in of(found, "site")], [True, True], "its sites")
    test.equal([r["tenant"] for r in of(found, "tenant")], ["blue"], "and nobody else")
    found = rows(send, "site:MX.down.test")
    test.equal([r["site"] for r in of(found, "site")], ["mx.down.test"], "stat site:X")
    test.equal([(r["tenant"], r["recipients"]) for r in of(found, "tenant")], [("blue", 2)],
               "has the tenants with mail for it, and how much")
    found = rows(send, "domain:strict.test")
    test.equal([(r["row"], r.get("recipients")) for r in found],
               [("selected", 3), ("domain", 3), ("site", None), ("tenant", 3)], "stat domain:X")
    well = of(rows(send, "domain:well1.test"), "domain")
    test.equal([(r["kind"], r["recipients"]) for r in well], [("", 0)], "of one that is well, too")
    text = send.ctl("stat", "site:mx.rate.test").stdout
    test.check("takes " in text and "too much mail" in text and text.startswith("site         mx.rate.test"),
               "people get what was learnt", text)
    nothing = rows(send, "tenant:nobody")
    test.equal([(r["row"], r.get("recipients")) for r in nothing], [("selected", 0)], "a name without mail has none")
    test.equal(send.ctl("stat", "0" * 16).returncode, 100, "stat of an id is wrong use")


def main(test):
    send = start(test)
    fill(send)
    check_all(test, send)
    check_people(test, send)
    check_selection(test, send)


run(main)
