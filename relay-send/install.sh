#!/bin/sh
# install.sh BUILD: what make install does. DESTDIR is honoured; then no users are made.
set -eu
build=$1
prefix=${DESTDIR:-}$(head -n 1 conf-prefix)
home=${DESTDIR:-}$(head -n 1 conf-relay)
if [ -z "${DESTDIR:-}" ]; then relay-send/users.sh; fi
mkdir -p "$prefix/bin" "$prefix/share/relay"
for program in "$build"/bin/*; do
  if [ -L "$program" ]; then # sendmail
    ln -sf "$(readlink "$program")" "$prefix/bin/${program##*/}"
  else
    install -m 755 "$program" "$prefix/bin/"
  fi
done
for page in man/*.[0-9]; do
  section=${page##*.}
  mkdir -p "$prefix/share/man/man$section"
  install -m 644 "$page" "$prefix/share/man/man$section/"
done
relay-send/directory.sh "$home"
# Defaults that are data: never over what the operator has changed.
for file in relay-send/control/*; do
  [ ! -e "$file" ] || [ -e "$home/control/${file##*/}" ] || install -m 644 "$file" "$home/control/"
done
echo "relay is installed in $prefix; its directory is $home."
echo "Next: relay-conf (service directories), relay-control(5), README."
