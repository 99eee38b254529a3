#!/bin/sh
# Ours beside the plainest Go proxy, and beside nginx and haproxy where they
# are installed, in one run. Arguments are passed on: -scenarios, -rounds, …
# All samples go to bin/bench.json, of which `make chart` draws a picture.
set -eu
cd "$(dirname "$0")/bench"
mkdir -p ../../bin
go build -o ../../bin/bench .
proxies="direct,ours=kamal:../../bin/kamal-proxy,buffered=kamal:../../bin/kamal-proxy+arg:--buffer-requests+arg:--buffer-responses,go=stdlib"
for peer in nginx haproxy; do
	if command -v $peer >/dev/null 2>&1 || [ -x /usr/sbin/$peer ]; then proxies="$proxies,$peer"; fi
done
PATH="$PATH:/usr/sbin" exec ../../bin/bench -proxies "$proxies" -baseline go -scenarios small-get -json ../../bin/bench.json "$@"
