#!/bin/sh
# See that the programs the tests run are on this machine; as root on Debian, install what is missing.
set -eu

fail() { printf 'tidewire: %s\n' "$*" >&2; exit 2; }

# promtool tries the alert rules. Of Debian's `prometheus` only that program is wanted, not the service.
install_promtool() (
  folder=$(mktemp -d)
  chmod 777 "$folder" # apt downloads as a user of its own
  trap 'rm -rf "$folder"' EXIT
  cd "$folder" &&
    apt-get update -qq &&
    apt-get download -qq prometheus &&
    dpkg-deb -x prometheus_*.deb . &&
    install -D usr/bin/promtool /usr/local/bin/promtool
)

# program:Debian package
wanted='chromium:chromium openssl:openssl java:openjdk-17-jre-headless mvn:maven redis-server:redis-server node:nodejs npm:npm cc:build-essential'

missing() {
  for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || printf '%s ' "${pair##*:}"
  done
}

packages=$(missing)
if [ -n "$packages" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  printf 'Installing %s…\n' "$packages"
  apt-get update -qq
  # shellcheck disable=SC2086 # one word a package
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
  packages=$(missing)
fi
if ! command -v promtool >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  printf 'Installing promtool…\n'
  install_promtool || :
fi
command -v promtool >/dev/null 2>&1 || packages="${packages}prometheus "
[ -z "$packages" ] || fail "the tests need programs that are not on this machine: install $packages(Debian's names) and start again"
node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
  fail "the tests need Node 20 or later, and node here is $(node --version): install a later one"
