# Everything is built without cgo and without the paths of this machine.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO      ?= go
export CGO_ENABLED = 0
BUILD   := $(GO) build -trimpath -ldflags "-s -w -X kamal-proxy/cli.Version=$(VERSION)"
FUZZTIME ?= 30s

.PHONY: build demo test race lint bench integration fuzz clean

build:
	$(BUILD) -o bin/kamal-proxy .

# Builds, starts, deploys two versions of a small app under load, and leaves
# them running for you to try the commands on.
demo: build
	$(BUILD) -o bin/demo ./example/demo
	bin/demo

test: build
	$(GO) test ./...

# The race detector needs a C compiler.
race:
	@integration/need gcc nginx wrk python3
	CGO_ENABLED=1 $(GO) test -race ./...

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...

# The built binary as a black box, against real peers.
integration: build
	@integration/need nginx wrk python3
	KAMAL_PROXY_PEERS=1 $(GO) test -count=1 ./integration/...

# Ratios of one run; nothing else may run meanwhile. See docs/performance.md.
bench: build
	$(GO) test -run '^$$' -bench RequestThroughActors -benchmem ./actors/registry
	integration/bench.sh

fuzz:
	integration/fuzz.sh $(FUZZTIME)

clean:
	rm -rf bin
