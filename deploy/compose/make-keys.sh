#!/bin/sh
# Make what deploy/compose.yaml takes as secrets, once: `sh deploy/compose/make-keys.sh`. What is there stays.
# The folder is its owner's alone. The files in it can be read by all, since the user of the containers is another.
set -eu
cd "$(dirname "$0")"

random_hex() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

mkdir -p keys
chmod 700 keys
for name in internal.key token.key grafana.password; do
  if [ -s "keys/$name" ]; then
    printf '%s is there\n' "deploy/compose/keys/$name"
    continue
  fi
  random_hex 32 >"keys/$name.part"
  chmod 644 "keys/$name.part"
  mv "keys/$name.part" "keys/$name"
  printf '%s made\n' "deploy/compose/keys/$name"
done
