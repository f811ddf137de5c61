#!/bin/sh
# relay-conf: makes relay's service directories, as tinydns-conf does. See relay-conf(8).
set -eu
usage() {
  cat <<EOF
usage: relay-conf [--help]
       relay-conf [-d RELAYDIR] [-s SERVICES] [-l LOGS] [-b BINDIR] [ADDRESS [PORT]]
       relay-conf [-b BINDIR] -p smtp|pop3 SERVICE
Creates SERVICES/smtpd, send, keyd and authd with run and log/run.
  -d RELAYDIR  the relay's directory, with control/ and queue/ (default @HOME@)
  -s SERVICES  where the service directories go (default /etc/relay)
  -l LOGS      logs go to LOGS/NAME (default SERVICES/NAME/log/main)
  -b BINDIR    where the programs are (default @BIN@)
  ADDRESS PORT where relay-smtpd is to listen (default 127.0.0.1 25)
  -p PROTOCOL  of another server's service directory, whose run has "recordio": only
               SERVICE/log/run, with relay-log, and SERVICE/log/main
Then, to start it:  ln -s SERVICES/* /etc/service/
keyd (TLS) and authd (AUTH) stay down until there is control/servercert, control/checkpassword:
then  rm SERVICES/keyd/down; svc -u /etc/service/keyd
EOF
}
die() { echo "relay-conf: fatal: $*" >&2; exit 100; }

case ${1:-} in --help) usage; exit 0 ;; esac
home=@HOME@ services=/etc/relay logs= bin=@BIN@ protocol=
while getopts d:s:l:b:p:h option; do
  case $option in
    d) home=$OPTARG ;; s) services=$OPTARG ;; l) logs=$OPTARG ;; b) bin=$OPTARG ;;
    p) protocol=$OPTARG ;;
    h) usage; exit 0 ;; *) usage >&2; exit 100 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -le 2 ] || { usage >&2; exit 100; }

# As root each service runs under its own user; otherwise all under the caller's.
if [ "$(id -u)" = 0 ]; then
  as_log='setuidgid @USER_LOG@ '
  as_smtpd='-u "$(id -u @USER_SMTPD@)" -g "$(id -g @USER_SMTPD@)" '
else
  as_log='' as_smtpd=''
fi

make_log() { # the directory of log/run, the log's, what runs multilog; a comment on its stdin
  mkdir -p "$1" "$2"
  [ "$(id -u)" != 0 ] || chown @USER_LOG@ "$2"
  {
    echo '#!/bin/sh'
    sed 's/^/# /'
    echo "exec ${as_log}${3}multilog t s16777215 n20 $2"
  } > "$1/run"
  chmod 755 "$1/run" "$2"
}

if [ -n "$protocol" ]; then
  case $protocol in smtp | pop3) ;; *) die "not a protocol: $protocol (smtp or pop3)" ;; esac
  [ $# = 1 ] || { usage >&2; exit 100; }
  case $1$bin in *[!A-Za-z0-9/._,+-]*) die "directories may have letters, digits and /._,+- only" ;; esac
  [ -d "$1" ] || die "there is no $1"
  [ ! -e "$1/log/run" ] || die "$1/log/run exists: remove or rename it first"
  make_log "$1/log" "$(cd "$1" && pwd)/log/main" "$bin/relay-log $protocol " << EOF
The service's run needs tcpserver -v, recordio and 2>&1. Patterns: relay-log(8).
EOF
  exit 0
fi

address=${1:-127.0.0.1} port=${2:-25}
case $port in *[!0-9]* | '') die "not a port: $port" ;; esac
case $home$services$logs$bin in *[!A-Za-z0-9/._,+-]*) die "directories may have letters, digits and /._,+- only" ;; esac
[ -x "$bin/relay-start" ] || die "no relay-start in $bin (make install, or -b BINDIR)"
for name in smtpd send keyd authd; do
  [ ! -e "$services/$name" ] || die "$services/$name exists: remove or rename it first"
done

# What tells whose mail it is and where it came from; without signatures and other bulk.
fields=From,Sender,Reply-To,To,Cc,Date,Subject,Message-ID,In-Reply-To,List-Id,X-Mailer,X-PHP-*,X-Originating-*

make_service() { # NAME, its run script on stdin
  dir=$services/$1
  log=${logs:+$logs/$1}
  log=${log:-$dir/log/main}
  mkdir -p "$dir"
  cat > "$dir/run"
  chmod 755 "$dir/run"
}

make_service smtpd <<EOF
#!/bin/sh
# Who may connect, and with what environment: ./rules, then make.
exec 2>&1
here=\$(pwd)
cd $home || exit 111
malformed() {
  echo "smtpd/run: fatal: control/concurrencyincoming:1: not a number from 1 to 1000000: \$limit"
  exit 100
}
limit=1000
if [ -e control/concurrencyincoming ]; then
  limit=
  read -r limit < control/concurrencyincoming || : # a last line without its end
  case \$limit in '' | *[!0-9]* | ????????*) malformed ;; esac
  [ "\$limit" -ge 1 ] && [ "\$limit" -le 1000000 ] || malformed
fi
ulimit -n 65536 2>/dev/null || ulimit -n "\$(ulimit -H -n)"
exec tcpserver -v -R -H -l0 -b 512 -c "\$limit" -x "\$here/rules.cdb" \\
  ${as_smtpd}$address $port $bin/relay-smtpd
EOF
make_log "$dir/log" "$log" "$bin/relay-log -h '$fields' smtp " << 'EOF'
-h names the header fields that are logged; without it all are. See relay-log(8).
EOF

make_service send <<EOF
#!/bin/sh
exec 2>&1
ulimit -n 65536 2>/dev/null || ulimit -n "\$(ulimit -H -n)"
exec $bin/relay-start -d $home
EOF
make_log "$dir/log" "$log" '' << 'EOF'
There are no header fields in this log. To choose lines, put "relay-log smtp" and
patterns before multilog: relay-log(8).
EOF

for name in keyd authd; do
  make_service $name <<EOF
#!/bin/sh
exec 2>&1
ulimit -n 65536 2>/dev/null || ulimit -n "\$(ulimit -H -n)"
exec $bin/relay-$name -d $home
EOF
  make_log "$dir/log" "$log" '' << EOF
This log is what relay-$name says of itself.
EOF
  : > "$services/$name/down" # nothing to serve yet: see relay-keyd(8), relay-authd(8)
done

cat > "$services/smtpd/rules" <<'EOF'
# tcprules: who may relay. Run make here after a change.
# 192.0.2.:allow,RELAYCLIENT="",RELAYTENANT="msa1"
127.:allow,RELAYCLIENT=""
:allow
EOF
cat > "$services/smtpd/Makefile" <<'EOF'
rules.cdb: rules
	tcprules rules.cdb rules.tmp < rules
	chmod 644 rules.cdb
EOF
(cd "$services/smtpd" && tcprules rules.cdb rules.tmp < rules && chmod 644 rules.cdb)
