#!/bin/sh
# relay-logdb-conf: makes the service directory of relay-logdb. See relay-logdb(8).
set -eu
usage() {
  cat <<EOF
usage: relay-logdb-conf [--help]
       relay-logdb-conf [-d RELAYDIR] [-s SERVICES] [-b BINDIR] [-m FILE] [-k DAYS] [LOGDIR ...]
Creates SERVICES/logdb with run and log/run: relay-logdb follows the logs into SQL.
  -d RELAYDIR  the relay's directory; the database is RELAYDIR/logdb/log.sqlite (default @HOME@)
  -s SERVICES  where the service directory goes (default /etc/relay)
  -b BINDIR    where the programs are (default @BIN@)
  -m FILE      MariaDB instead of SQLite: an option file for relay-logdb -m
  -k DAYS      how long rows are kept (default 365)
  LOGDIR       the logs (default SERVICES/smtpd/log/main SERVICES/send/log/main)
Then, to start it:  ln -s SERVICES/logdb /etc/service/
EOF
}
die() { echo "relay-logdb-conf: fatal: $*" >&2; exit 100; }

case ${1:-} in --help) usage; exit 0 ;; esac
home=@HOME@ services=/etc/relay bin=@BIN@ mysql='' days=365
while getopts d:s:b:m:k:h option; do
  case $option in
    d) home=$OPTARG ;; s) services=$OPTARG ;; b) bin=$OPTARG ;; m) mysql=$OPTARG ;; k) days=$OPTARG ;;
    h) usage; exit 0 ;; *) usage >&2; exit 100 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- "$services/smtpd/log/main" "$services/send/log/main"
case $days in *[!0-9]* | '' | 0* | ??????*) die "not a number of days from 1 to 99999: $days" ;; esac
for directory in "$home" "$services" "$bin" "$mysql" "$@"; do
  case $directory in *[!A-Za-z0-9/._,+-]*) die "directories may have letters, digits and /._,+- only" ;; esac
done
for log; do
  [ -d "$log" ] || die "no directory $log (relay-conf makes the logs)"
done
[ -x "$bin/relay-logdb" ] || die "no relay-logdb in $bin (make install, or -b BINDIR)"
[ ! -e "$services/logdb" ] || die "$services/logdb exists: remove or rename it first"

as=''
[ "$(id -u)" != 0 ] || as='setuidgid @USER_LOG@ '
main=$services/logdb/log/main
if [ -n "$mysql" ]; then
  [ -r "$mysql" ] || die "no file $mysql"
  database="-m $mysql"
else
  database="-s $home/logdb/log.sqlite"
  mkdir -p "$home/logdb"
  chmod 750 "$home/logdb"
  [ "$(id -u)" != 0 ] || chown @USER_LOG@: "$home/logdb"
fi
mkdir -p "$main"
[ "$(id -u)" != 0 ] || chown @USER_LOG@ "$main"
cat > "$services/logdb/run" <<EOF
#!/bin/sh
# In its own time: the mail does not wait for the database.
exec 2>&1
exec ${as}nice $bin/relay-logdb $database -k $days $*
EOF
cat > "$services/logdb/log/run" <<EOF
#!/bin/sh
exec ${as}multilog t s1000000 n5 $main
EOF
chmod 755 "$services/logdb/run" "$services/logdb/log/run" "$main"
