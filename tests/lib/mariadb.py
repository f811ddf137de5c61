"""A MariaDB of the test's own: its data and its socket in a directory, no network."""
import os
import subprocess

from relaytest import Failed, run_program, wait_for

NEEDS = ("mariadb-install-db", "mariadbd", "mariadb")


class Mariadb:
    """mariadbd with a database "relaylog" and a user for it; options is the file for relay-logdb -m."""

    def __init__(self, directory):
        self.directory, self.socket = directory, directory / "sock"
        self.options = directory / "my.cnf"
        # A mariadbd that starts removes the temporary tables that it finds in tmpdir, others' too.
        own = [f"--tmpdir={directory}", *(["--user=root"] if os.geteuid() == 0 else [])]
        run_program("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
                    "--skip-test-db", *own, f"--datadir={directory / 'data'}")
        with open(directory / "server.log", "wb") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", *own, f"--datadir={directory / 'data'}", f"--socket={self.socket}",
                 "--skip-networking", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=2"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PATH": self.path()})
        wait_for(self.answers, f"mariadbd answers: {directory / 'server.log'}", 60)
        self.sql("CREATE DATABASE relaylog; CREATE USER 'relayl'@'localhost' IDENTIFIED BY 'kept in a file';"
                 "GRANT ALL ON relaylog.* TO 'relayl'@'localhost'", database="")
        self.options.write_text(f"[relay-logdb]\nsocket={self.socket}\nuser=relayl\npassword=kept in a file\n"
                                "database=relaylog\n")
        self.options.chmod(0o600)

    @staticmethod
    def path():
        return os.environ["PATH"] + ":/usr/sbin"

    def answers(self):
        if self.process.poll() is not None:
            raise Failed(f"mariadbd ended: {(self.directory / 'server.log').read_text(errors='replace')[-3000:]}")
        return self.sql("SELECT 1", database="", check=False).returncode == 0

    def sql(self, text, database="relaylog", check=True):
        """The finished mariadb client; its rows are lines of stdout, columns between tabs."""
        return run_program("mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-S", self.socket, "-u",
                           "root", "-N", "-B", *([database] if database else []), "-e", text, check=check)

    def rows(self, text):
        """Rows as sets of columns; NULL is None."""
        return [tuple(None if c == "NULL" else c for c in line.split("\t"))
                for line in self.sql(text).stdout.splitlines()]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
