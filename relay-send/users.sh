#!/bin/sh
# users.sh: creates the users and groups of conf-users and conf-groups that are
# missing. Called by make install and tests/sandbox, as root, from the top of the tree.
set -eu
users=$(sed -n 1,8p conf-users)
groups=$(sed -n 1,9p conf-groups)
for group in $groups; do
  getent group "$group" >/dev/null || groupadd --system "$group"
done
set -- $groups
for user in $users; do
  getent passwd "$user" >/dev/null ||
    useradd --system --gid "$1" --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
  shift
done
