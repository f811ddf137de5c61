"""Signed and unsigned zones on loopback: nsd serves them on port 53 of one address, unbound
validates them on port 53 of another, and one that does not validate may be on that of a third.
Keys are made by the test (ldns-keygen)."""
import shutil
import subprocess
from pathlib import Path

from relaytest import Failed, run_program, wait_for

NSD = """server:
  ip-address: {address}
  port: 53
  username: ""
  chroot: ""
  zonesdir: "{directory}"
  database: ""
  pidfile: "{directory}/nsd.pid"
  xfrdfile: "{directory}/xfrd"
  zonelistfile: "{directory}/zone.list"
  xfrdir: "{directory}"
  server-count: 1
remote-control:
  control-enable: no
"""

# "test." is refused by default, and 127/8 is not asked.
UNBOUND = """server:
  interface: {address}
  port: 53
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  num-threads: 1
  do-ip6: no
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "{modules}"
  access-control: 127.0.0.0/8 allow
{anchors}remote-control:
  control-enable: no
"""


class SignedZones:
    """zone() and signed(), then start(). The resolver is at self.resolver."""

    def __init__(self, directory, server, resolver, careless=None):
        """careless: the address of the resolver that does not validate."""
        self.directory, self.server, self.resolver, self.careless = Path(directory), server, resolver, careless
        self.zones, self.anchors, self.processes = [], [], []

    def zone(self, name, lines, signed=False):
        """lines are records without the zone's own SOA and NS; "" is the root."""
        path = self.directory / f"{name or 'root'}.zone"
        head = [f"$ORIGIN {name}.", "$TTL 60", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns",
                f"ns A {self.server}"]
        path.write_text("\n".join(head + lines) + "\n")
        if signed:
            key = run_program("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", f"{name}.", cwd=self.directory).stdout.strip()
            run_program("ldns-signzone", "-n", path, key, cwd=self.directory)
            path = path.with_suffix(".zone.signed")
            self.anchors.append(self.directory / f"{key}.ds")
        self.zones.append((name, path))
        return self

    def start(self):
        nsd = NSD.format(address=self.server, directory=self.directory)
        nsd += "".join(f'zone:\n  name: "{name}."\n  zonefile: "{path}"\n' for name, path in self.zones)
        (self.directory / "nsd.conf").write_text(nsd)
        anchors = "".join(f'  trust-anchor-file: "{a}"\n' for a in self.anchors)
        self.configure("unbound", self.resolver, "validator iterator", anchors)
        commands = [["/usr/sbin/nsd", "-d", "-c", "nsd.conf"], ["./unbound", "-d", "-c", "unbound.conf"]]
        if self.careless:
            self.configure("careless", self.careless, "iterator", "")
            commands.append(["./unbound", "-d", "-c", "careless.conf"])
        # A copy: Debian's AppArmor profile is for the installed path, and its own directories.
        shutil.copy("/usr/sbin/unbound", self.directory / "unbound")
        for command in commands:
            log = open(self.directory / (command[-1] + ".log"), "wb")
            self.processes.append(subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL,
                                                   stdout=log, stderr=log, start_new_session=True))
            log.close()
        wait_for(self.answers, f"unbound answers on {self.resolver}: {self.logs()}")
        return self

    def configure(self, name, address, modules, anchors):
        text = UNBOUND.format(address=address, directory=self.directory, modules=modules, anchors=anchors)
        text += "".join(f'stub-zone:\n  name: "{zone}."\n  stub-addr: {self.server}\n'
                        for zone, _ in self.zones if zone == "" or zone.count(".") == 1)
        (self.directory / f"{name}.conf").write_text(text)

    def logs(self):
        return "".join(p.read_text(errors="replace")[-2000:] for p in self.directory.glob("*.log"))

    def answers(self):
        if any(p.poll() is not None for p in self.processes):
            raise Failed(f"nsd or unbound has ended: {self.logs()}")
        return all("NOERROR" in run_program("drill", f"@{a}", "SOA", self.zones[0][0], check=False).stdout
                   for a in (self.resolver, self.careless) if a)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
