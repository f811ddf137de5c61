#!/bin/sh
# directory.sh DIR: makes DIR a relay's directory: control/, run/ and queue/ with the
# modes that keep the programs apart. Called by make install and tests/sandbox.
set -eu
[ $# = 1 ] || { echo "usage: directory.sh DIR" >&2; exit 100; }
mkdir -p "$1" "$1/control" "$1/run" "$1/queue"
chmod 755 "$1" "$1/control" "$1/run"
chmod 700 "$1/queue"
owner=$(sed -n 2p conf-users) group=$(sed -n 2p conf-groups)
if [ "$(id -u)" = 0 ]; then
  if [ -n "${DESTDIR:-}" ] && ! getent passwd "$owner" >/dev/null; then
    echo "There is no user $owner here: who unpacks this gives $1/queue to $owner:$group." >&2
  else
    chown "$owner:$group" "$1/queue"
  fi
fi
