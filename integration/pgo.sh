#!/bin/sh
# Profiles the daemon under the bench's small-get and post-64k, and writes
# default.pgo. Whether that is worth keeping, see docs/performance.md.
set -eu
cd "$(dirname "$0")/.."
port=${KAMAL_PROXY_PPROF_PORT:-6060} seconds=${SECONDS_EACH:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p bin
CGO_ENABLED=0 go build -pgo=off -trimpath -tags pprof -o "$work/kamal-proxy" .
(cd integration/bench && CGO_ENABLED=0 go build -o ../../bin/bench .)
for scenario in small-get post-64k; do
	bin/bench -proxies "ours=kamal:$work/kamal-proxy+env:KAMAL_PROXY_PPROF_PORT=$port" \
		-scenarios $scenario -rounds 1 -warmup 2s -duration $((seconds + 5))s >"$work/$scenario.md" &
	load=$!
	until curl -sf -o /dev/null "http://127.0.0.1:$port/debug/pprof/"; do
		kill -0 $load && sleep 0.2
	done
	sleep 2
	curl -sf -o "$work/$scenario.prof" "http://127.0.0.1:$port/debug/pprof/profile?seconds=$seconds"
	wait $load
done
go tool pprof -proto "$work/small-get.prof" "$work/post-64k.prof" >default.pgo
ls -l default.pgo
