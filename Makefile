# Everything is built without cgo and without the paths of this machine.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO      ?= go
export CGO_ENABLED = 0
export PATH := $(CURDIR)/bin:$(PATH)
BUILD   := $(GO) build -trimpath -ldflags "-s -w -X kamal-proxy/cli.Version=$(VERSION)"
FUZZTIME ?= 30s

# The longest package takes minutes; a slow machine is to tell that it is slow,
# and not that something hangs.
PATIENT := -timeout 25m
SOAK     ?= 10m
PEERS   := nginx haproxy wrk python3 curl h2load puma pebble h2spec vegeta toxiproxy strace slowhttptest

# Kamal reads the image's tag as a version, and wants v0.9.2 or later.
DOCKER    ?= docker
IMAGE     ?= kamal-proxy
TAG       ?= $(or $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' --exclude '*-*' 2>/dev/null),v1.0.0)
PLATFORMS ?=

.PHONY: build demo docker image-check peers test race lint bench chart pgo integration storm attack soak fuzz model clean

build:
	$(BUILD) -o bin/kamal-proxy .

# Builds, starts, deploys two versions of a small app under load, and leaves
# them running for you to try the commands on.
demo: build
	$(BUILD) -o bin/demo ./example/demo
	bin/demo

# PLATFORMS=linux/amd64,linux/arm64 builds for both; the engine has to be able
# to keep such an image.
docker:
	@echo "$(TAG:v%=%)" | grep -Eqx '[0-9]+(\.[0-9]+)*' && printf '%s\n' 0.9.2 "$(TAG:v%=%)" | sort -C -V || \
		{ echo "Kamal would not take the tag $(TAG): give TAG=v0.9.2 or later, in numbers alone" >&2; exit 1; }
	$(DOCKER) build $(if $(PLATFORMS),--platform $(PLATFORMS)) --build-arg VERSION=$(VERSION) --tag $(IMAGE):$(TAG) .

# What `make docker` would build, laid out and run without Docker.
image-check:
	integration/image.sh

# Those peers of the tests that are Go programs; .ci/run installs the others.
peers:
	GOBIN=$(CURDIR)/bin $(GO) install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1
	GOBIN=$(CURDIR)/bin $(GO) install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
	GOBIN=$(CURDIR)/bin $(GO) install github.com/tsenart/vegeta/v12@v12.13.0
	GOBIN=$(CURDIR)/bin $(GO) install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
	mv bin/server bin/toxiproxy

test: build
	$(GO) test $(PATIENT) ./...

# The race detector needs a C compiler.
race:
	@integration/need gcc $(PEERS)
	CGO_ENABLED=1 $(GO) test $(PATIENT) -race ./...

lint:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...

# The built binary as a black box, against real peers.
integration: build
	@integration/need $(PEERS)
	KAMAL_PROXY_PEERS=1 $(GO) test -count=1 ./integration/...

# The long forms of what make test has in short: deploys, upgrades, crashes and
# power cuts under load, one after the other. They print what became of each kind
# of request.
storm: build
	@integration/need vegeta strace
	KAMAL_PROXY_PEERS=1 KAMAL_PROXY_STORM=1 $(GO) test -count=1 -parallel 1 -timeout 60m -v -run 'Storm|PowerCut' ./integration

# What attackers do, in its long form; it prints how honest clients fared.
attack: build
	@integration/need slowhttptest h2spec
	KAMAL_PROXY_PEERS=1 KAMAL_PROXY_STORM=1 $(GO) test -count=1 -timeout 30m -v -run 'Attacks|Floods|ReadersThat|LateBytes|TakesForARequest|H2spec' ./integration

# Mixed load for SOAK: what the process holds has to stay level.
soak: build
	@integration/need vegeta
	KAMAL_PROXY_PEERS=1 KAMAL_PROXY_SOAK=$(SOAK) $(GO) test -count=1 -timeout 24h -v -run 'TestSoak' ./integration

# Ratios of one run; nothing else may run meanwhile. See docs/performance.md.
bench: build
	$(GO) test -run '^$$' -bench 'BareLib|Question|Table' -benchtime 300000x ./actors/system ./actors/registry
	integration/bench.sh

# Draws the CPU time of the bench's last run, which needs nginx's.
chart:
	$(GO) run ./integration/chart < bin/bench.json > bin/performance.svg
	mv bin/performance.svg docs/performance.svg

# Writes default.pgo, by which go build then optimizes, from a profile of the
# daemon under the bench's load.
pgo:
	integration/pgo.sh

fuzz:
	integration/fuzz.sh $(FUZZTIME)

# The actors against their model: random orders, requests, faults, panics and
# hand-overs. CHECKS rounds take a tenth of a second each.
CHECKS ?= 5000
model:
	$(GO) test ./actors/model -count=1 -timeout 0 -v -rapid.checks=$(CHECKS) -rapid.shrinktime=1s

clean:
	rm -rf bin
