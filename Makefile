# Batuta: build, test and run. `make` lists the targets.
#
# The repository is a Go workspace without a root module: `go build ./...` fails at the
# root by design; the pattern `work` means every module.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

MODULES := $(shell sed -n 's#^[[:space:]]*\./##p' go.work)
PROGRAMS := batuta scheduler worker-pool state-recorder api

GO_MIN := 1.26
NODE_MIN := 20.19
GOLANGCI_VERSION := v2.15.0
GOLANGCI := .cache/bin/golangci-lint-$(GOLANGCI_VERSION)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
DATE ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
OBS := github.com/batuta-tasks/batuta/shared/obs
LDFLAGS := -s -w -X $(OBS).Version=$(or $(VERSION),dev) -X $(OBS).Commit=$(or $(COMMIT),unknown) -X $(OBS).Date=$(or $(DATE),unknown)

# Flags for `go test`, and for the service that `make run` starts.
TESTFLAGS ?=
RUNFLAGS ?=
# What every test may take; the whole-system suites are the longest.
TEST_TIMEOUT ?= 20m

# at_least HAVE,WANT,NAME: one clear line instead of a build that fails somewhere.
define at_least
	if [ -z "$(1)" ]; then echo "Batuta needs $(3) $(2) or newer; it was not found on PATH." >&2; exit 1; fi; \
	if [ "$$(printf '%s\n%s\n' '$(2)' '$(1)' | sort -V | head -n 1)" != '$(2)' ]; then \
	  echo "Batuta needs $(3) $(2) or newer; this is $(1)." >&2; exit 1; fi
endef

##@ Using Batuta

.PHONY: run
run: build ## build everything and run it: API and dashboard on http://127.0.0.1:8080
	@exec bin/batuta up $(RUNFLAGS)

.PHONY: build
build: tools web-build go-build ## bin/batuta and the four services, with the dashboard inside

.PHONY: go-build
go-build:
	@mkdir -p bin
	@for p in $(PROGRAMS); do \
	  CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o "bin/$$p" "./services/$$p/cmd/$$p"; \
	done
	@echo "built: $(addprefix bin/,$(PROGRAMS))"

##@ Testing

.PHONY: test
test: test-go test-web test-browser ## every test: Go, web unit, browser

# Under the race detector each process sleeps for a second before it exits; the whole-system
# tests start hundreds, so that is turned off. What races at the last moment is seen without.
.PHONY: test-go
test-go: tools web-build ## the Go tests of all modules, with the race detector where a C compiler is found
	@if command -v "$$(go env CC)" >/dev/null; then race=-race; else race=; \
	  echo "No C compiler ($$(go env CC)): running the Go tests without the race detector (-race)."; fi; \
	if [ -n "$$race" ]; then export CGO_ENABLED=1 GORACE="atexit_sleep_ms=0 $${GORACE:-}"; fi; \
	go test $$race -timeout $(TEST_TIMEOUT) $(TESTFLAGS) work

.PHONY: test-web
test-web: web/node_modules/.package-lock.json ## the dashboard's unit tests
	@cd web && npm test

.PHONY: test-browser
test-browser: browser build ## the dashboard in a real browser, against the real system
	@chromium="$$(node web/e2e/find-browser.mjs)"; cd web && BROWSER_PATH="$$chromium" npm run e2e

# Finds a browser that starts, or installs one: as root on Debian its package, elsewhere
# Playwright's own. Where that fails too, the script says which one command to run.
.PHONY: browser
browser: tools web/node_modules/.package-lock.json
	@if node web/e2e/find-browser.mjs >/dev/null 2>&1; then exit 0; fi; \
	echo "No browser starts here: installing one."; \
	if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 || true; \
	else \
	  (cd web && npx playwright install chromium) >/dev/null 2>&1 || true; \
	fi; \
	node web/e2e/find-browser.mjs >/dev/null

.PHONY: screens
screens: browser build ## screenshots of every page of the dashboard, into web/e2e/screens/
	@chromium="$$(node web/e2e/find-browser.mjs)"; cd web && BROWSER_PATH="$$chromium" npm run screens

##@ Measuring

# Flags for the benchmark: --quick, --only one8,bulk, --systems batuta,asynq, --runs 3.
BENCHFLAGS ?=
BENCH := deploy/bench

.PHONY: bench
bench: bench-build bench-rivals ## Batuta beside its rivals: prints the table of figures and ratios, writes docs/BENCHMARKS.md
	@.cache/bench/bench --batuta .cache/bench/batuta --root $(BENCH) \
	  $(if $(findstring --quick,$(BENCHFLAGS))$(findstring --only,$(BENCHFLAGS))$(findstring --systems,$(BENCHFLAGS)),,--docs docs/BENCHMARKS.md --chart docs/images/benchmarks.svg) \
	  $(BENCHFLAGS)

.PHONY: bench-growth
bench-growth: bench-build ## how Batuta's figures change with more pending tasks, workers and dashboards: writes docs/BENCHMARKS.md
	@.cache/bench/bench grow --batuta .cache/bench/batuta --root $(BENCH) \
	  $(if $(findstring --quick,$(BENCHFLAGS))$(findstring --only,$(BENCHFLAGS)),,--docs docs/BENCHMARKS.md --chart docs/images/growth.svg) \
	  $(BENCHFLAGS)

# A module of its own, outside the workspace: what the rivals need never reaches Batuta.
.PHONY: bench-build
bench-build: tools
	@mkdir -p .cache/bench
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o .cache/bench/batuta ./services/batuta/cmd/batuta
	@cd $(BENCH) && CGO_ENABLED=0 GOWORK=off go build -trimpath -buildvcs=false -o $(CURDIR)/.cache/bench/bench .

# The rivals' servers come from Debian, BullMQ from npm at the versions of the lock file.
.PHONY: bench-rivals
bench-rivals: $(BENCH)/bullmq/node_modules/.package-lock.json
	@if command -v redis-server >/dev/null && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
	  echo "installing redis-server and postgresql, which Batuta is compared with"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server postgresql >/dev/null; \
	else \
	  echo "The servers that Batuta is compared with are missing. Debian has them: sudo apt-get install redis-server postgresql" >&2; exit 1; \
	fi

$(BENCH)/bullmq/node_modules/.package-lock.json: $(BENCH)/bullmq/package.json $(BENCH)/bullmq/package-lock.json
	@cd $(BENCH)/bullmq && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

.PHONY: bench-test
bench-test: tools ## the tests of the benchmark's own logic
	@cd $(BENCH) && GOWORK=off go vet ./... && GOWORK=off go test ./...

.PHONY: pictures
pictures: browser build ## the README's two pictures of the dashboard, taken from a system at work (minutes)
	@chromium="$$(node web/e2e/find-browser.mjs)"; cd web && BROWSER_PATH="$$chromium" npm run pictures

##@ Working on Batuta

.PHONY: lint
lint: tools $(GOLANGCI) web/node_modules/.package-lock.json ## golangci-lint over all modules, eslint over the dashboard
	@$(GOLANGCI) run $(LINTFLAGS) $$(go list -f '{{.Dir}}/...' -m)
	@cd web && npm run lint

# Built from the module proxy at one version, so that everyone sees the same findings.
$(GOLANGCI):
	@echo "installing golangci-lint $(GOLANGCI_VERSION) (a minute or two, once)"
	@mkdir -p $(@D)/tmp
	@GOBIN="$(CURDIR)/$(@D)/tmp" GOWORK=off GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(@D)/tmp/golangci-lint $@ && rmdir $(@D)/tmp

.PHONY: verify
verify: tools ## what is tested is what ships: format, workspace, each module on its own
	@unformatted="$$(gofmt -l $(MODULES))"; \
	if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w):" $$unformatted >&2; exit 1; fi
	@diff <(git ls-files '*go.mod' | grep -v '^deploy/bench/' | xargs -n1 dirname | sort) \
	      <(go list -f '{{.Dir}}' -m | sed "s|^$(CURDIR)/||" | sort) \
	  || { echo "go.work does not list the modules that git has" >&2; exit 1; }
	@for m in $(MODULES); do (cd "$$m" && GOWORK=off go vet ./... && GOWORK=off go mod tidy -diff) \
	  || { echo "$$m does not stand alone: run make tidy" >&2; exit 1; }; done
	@$(call synced,go work sync)

# synced COMMAND: COMMAND changes no module file. Compared with copies and not with git,
# so that it works in a tree with changes too.
define synced
	saved="$$(mktemp -d)"; trap 'rm -rf "$$saved"' EXIT; \
	cp --parents go.work $(addsuffix /go.mod,$(MODULES)) "$$saved"; $(1); \
	for f in go.work $(addsuffix /go.mod,$(MODULES)); do \
	  cmp -s "$$f" "$$saved/$$f" || { cp "$$saved/$$f" "$$f"; echo "$$f is out of step: run make tidy" >&2; exit 1; }; \
	done
endef

.PHONY: tidy
tidy: tools ## bring all go.mod files in step
	@for m in $(MODULES); do (cd "$$m" && GOWORK=off go mod tidy); done
	@go work sync
	@for m in $(MODULES); do (cd "$$m" && GOWORK=off go mod tidy); done

.PHONY: clean
clean: ## remove what was built, not data
	@rm -rf bin .cache web/node_modules web/test-results web/playwright-report
	@find web/dist -mindepth 1 ! -name .gitkeep -delete

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##@ Parts of the above

.PHONY: tools
tools:
	@$(call at_least,$(shell go env GOVERSION 2>/dev/null | sed 's/^go//; s/[ -].*//'),$(GO_MIN),Go)
	@$(call at_least,$(shell node --version 2>/dev/null | sed 's/^v//'),$(NODE_MIN),Node.js)

# npm writes this file last, so it is as old as the installation.
web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@cd web && npm ci --no-audit --no-fund
	@touch $@

WEB_SOURCES = $(shell find web/src web/public web/index.html web/*.config.* web/tsconfig*.json -type f 2>/dev/null)

.PHONY: web-build
web-build: web/dist/index.html

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	@cd web && npm run build
	@touch $@
