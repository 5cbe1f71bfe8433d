# Each target is one thing that a person wants; what it needs beyond Go is found or installed by .ci/setup.
GO ?= go
ARGS ?=
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

SUITES = test-security-rls test-security-sessions test-security-isolation test-e2e-auth test-e2e-websockets test-e2e-portfolio

.DEFAULT_GOAL := help
.PHONY: help demo cluster test test-go test-web measure-web test-deploy test-newest rehearse soak test-faults $(SUITES) vulnerabilities lint build bench bench-hub cross clean

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## run Rosetree with its own PostgreSQL and Redis, people, portfolios and prices (ARGS="--fresh")
	@.ci/setup servers
	@$(MAKE) --no-print-directory build
	@bin/rosetree demo $(ARGS)

cluster: ## three servers behind a balancer, a Redis Cluster and PostgreSQL, all on this machine (ARGS="--fresh")
	@.ci/setup servers
	@$(MAKE) --no-print-directory build
	@bin/rosetree cluster $(ARGS)

test: ## set up what is missing, then all checks: lint, browser, deploy, newest PostgreSQL, Go with the race detector
	@$(GO) test -race -exec true ./... >/dev/null 2>&1 & .ci/setup servers compiler browser deploy pooler; set_up=$$?; wait; exit $$set_up # compiles while packages are fetched; what fails here fails again below
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-web
	@$(MAKE) --no-print-directory test-deploy
	@$(MAKE) --no-print-directory test-newest
	@$(MAKE) --no-print-directory test-go

test-go: ## the Go tests, against real private servers (ARGS="./auth -run Revoke")
	@.ci/gotest -race -p 2 -timeout 10m $(or $(ARGS),./...)

test-newest: ## migrations, row security and queries on the newest PostgreSQL that npm has
	@.ci/newest

test-web: build ## types, client library and browser stories of web/
	@PATH="$$(.ci/node):$$PATH" ROSETREE_BIN=$(CURDIR)/bin/rosetree WEB_CHECKS="types lib browser" web/test/run

measure-web: build ## what the screens cost and how soon they answer, in a browser on a machine that does nothing else (MINUTES=10: how long memory is watched; WEB_TEST_SESSIONS=100000)
	@cd web/test && { [ -d node_modules ] || npm ci --no-audit --no-fund --ignore-scripts >&2; } && ROSETREE_BIN=$(CURDIR)/bin/rosetree "$$(../../.ci/node)"/node measure.mjs $(or $(MINUTES),1)

test-deploy: ## the files of deploy/ against the schemas of what reads them
	@cd deploy/check && $(GO) vet ./... && $(GO) test ./...

rehearse: ## the migration plan carried out under load, with its timeline and verdicts (DURATION=30s: how long each phase is watched)
	@.ci/setup servers
	@ROSETREE_REHEARSAL=$(or $(DURATION),15s) $(GO) test -count 1 -v -timeout 2h ./deploy/proof -run TestTheMigrationIsRehearsed

soak: ## churn for DURATION (30m), then whether anything grew; writes docs/soak.md with its curves
	@.ci/setup servers
	@ROSETREE_SOAK=$(or $(DURATION),30m) ROSETREE_SOAK_PICTURES=$(CURDIR)/docs $(GO) test -count 1 -v -timeout 24h ./deploy/proof -run TestSoak

$(SUITES): # the migration plan's names
	@.ci/setup servers pooler
	@.ci/prove $(patsubst test-%,%,$@)

test-faults: ## what is promised while parts fail: promise, test, result (also the plan's: test-security-rls, -sessions, -isolation, test-e2e-auth, -websockets, -portfolio)
	@.ci/setup servers compiler pooler
	@.ci/prove faults

vulnerabilities: ## govulncheck; it needs vuln.go.dev or GOVULNDB
	@.ci/vulnerabilities

lint: ## gofmt, vet, go fix, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -d . | head -50; echo "make lint: run gofmt -w on the files above"; exit 1; }
	@$(GO) vet ./...
	@$(GO) fix -diff ./... || { echo "make lint: run go fix ./..."; exit 1; }
	@$(GO) run $(STATICCHECK) ./...
	@cd bench && $(GO) vet ./...
	@$(MAKE) --no-print-directory cross

cross: # the other systems that people build on
	@GOOS=darwin GOARCH=arm64 $(GO) vet ./internal/devstack ./cmd/rosetree ./hub

build: ## bin/rosetree
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/rosetree ./cmd/rosetree

bench: ## the benchmarks, short (ARGS="./hub")
	@.ci/setup servers
	@$(GO) test -run '^$$' -bench . -benchtime 200ms $(or $(ARGS),./...)

bench-hub: ## what one core of the hub carries, on a machine that does nothing else: bar and measured figure of each row (ARGS="idle,mass" plays only those)
	@.ci/setup servers
	@ROSETREE_HUB_TABLE=$(or $(ARGS),all) $(GO) test -count 1 -v -timeout 40m ./deploy/proof -run TestTheHubsTable

clean: ## remove what was built (the demo's data in .rosetree stays: demo --fresh empties it)
	@rm -rf bin test-artifacts web/test/node_modules
