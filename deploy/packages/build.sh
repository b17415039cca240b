#!/bin/sh
# Build what is published into a folder: wheels, source distributions and the npm package; says how large each is.
# `deploy/packages/build.sh DIR`; needs the environments of `make setup-dev setup-js`.
set -eu

cd "$(dirname "$0")/../.."
into=$1
bin=$PWD/${VENV:-.venv}/bin
mkdir -p "$into"
into=$(cd "$into" && pwd)

for project in . sdk/python examples/flights; do
  (cd "$project" && "$bin/hatchling" build -d "$into" >"$into/build.log" 2>&1) || { cat "$into/build.log" >&2; exit 1; }
done
(cd sdk/js && npm pack --silent --pack-destination "$into" >/dev/null)
rm -f "$into/build.log"

# The test of the size fails above 10 kB.
said=$(cd sdk/js && node --test --test-reporter=tap test/size.test.js) || { printf '%s\n' "$said" >&2; exit 1; }
for file in "$into"/*; do
  printf '%9d B  %s\n' "$(wc -c <"$file")" "${file##*/}"
done
printf '%s\n' "$said" | sed -n 's/^# \(.* minified, .* gzipped\)$/JavaScript SDK in one file: \1/p'
