#!/usr/bin/python3
"""sslscan and testssl.sh against relay-smtpd: nothing offered that is not meant to be, and no finding
above low but those about the test's own certificate."""
# limit: 280
# asan: no
import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import certificates
from relaytest import run, run_program

SUITES = {f"ECDHE-{auth}-{rest}" for auth in ("ECDSA", "RSA")
          for rest in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}
# Signed by itself, short-lived, for a made-up name; and what the scanner says of its own openssl, or
# could not find out because a resumed session is asked for by an id and it looks for tickets first.
NOT_OURS = re.compile(r"^(cert_|DNS_CAA|engine_problem|sessionresumption_ID)")


def check_sslscan(test, relay):
    text = run_program("sslscan", "--starttls-smtp", "--no-colour", f"127.0.0.1:{relay.port}").stdout
    enabled = re.findall(r"^(\S+v\S+)\s+enabled", text, re.M)
    test.equal(enabled, ["TLSv1.2"], "sslscan: versions")
    found = re.findall(r"^(?:Preferred|Accepted)\s+\S+\s+\d+ bits\s+(\S+)", text, re.M)
    test.equal(set(found), SUITES, "sslscan: suites")
    test.equal(found[0] if found else None, "ECDHE-ECDSA-AES128-GCM-SHA256", "sslscan: the preferred one")
    for line in ("not vulnerable to heartbleed", "Server supports TLS Fallback SCSV", "Session renegotiation not supported"):
        test.check(line in text, f"sslscan: {line}", text)


def check_testssl(test, relay):
    report = test.directory / "testssl.json"
    done = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
                           "--starttls", "smtp", "-p", "-S", "-H", "-I", "-R", "-C", "-W", "-A", "-4", "--jsonfile", report,
                           f"127.0.0.1:{relay.port}"], capture_output=True, text=True, timeout=270, check=False,
                          cwd=test.directory)
    findings = json.loads(report.read_text()) if report.exists() else []
    test.check(len(findings) > 30, "testssl.sh has looked at all", done.stdout[-2000:] + done.stderr)
    bad = [f"{f['severity']} {f['id']}: {f['finding']}" for f in findings
           if f["severity"] not in ("OK", "INFO", "LOW") and not NOT_OURS.match(f["id"])]
    test.equal(bad, [], "testssl.sh: findings above low")
    ids = {f["id"]: f["finding"] for f in findings}
    for key in ("heartbleed", "CCS", "secure_client_renego", "CRIME_TLS", "SWEET32", "BEAST", "RC4"):
        test.check("not vulnerable" in ids.get(key, "") or "not having" in ids.get(key, "") or
                   ids.get(key, "").startswith(("no ", "not ")), f"testssl.sh: {key}", ids.get(key, "nothing said"))


def main(test):
    tls = test.path("relay") / "control/tls"
    certificates.self_signed(tls, "ec")
    certificates.self_signed(tls, "rsa", key="rsa")
    relay = test.relay(control={"servercert": "tls/ec.pem tls/ec.key\ntls/rsa.pem tls/rsa.key"})
    check_sslscan(test, relay)
    check_testssl(test, relay)


run(main, tools=["openssl", "sslscan", "testssl"])
