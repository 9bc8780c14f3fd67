# Tasks of the project. `make` or `make help` lists them. Needs git, and either Node.js with npm or Bun.

BUN := .tools/bun
MESHGATE := $(BUN) src/main.ts
# Development tools run on Bun too, so that no Node.js is needed (nor its version matters).
PACKAGE_RUN := $(BUN) --bun run

.DEFAULT_GOAL := help
.PHONY: help bun deps setup run migrate-up migrate-down migrate-status test e2e e2e-tools lint audit format build build-all bench faults migration-sql schema openapi clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

bun:
	@sh scripts/install-bun.sh

deps: node_modules/.installed

# Skipped as long as neither file changes.
node_modules/.installed: package.json bun.lock | bun
	@sh scripts/install-deps.sh
	@touch $@

setup: deps ## install what is needed, and write .env with fresh secrets unless there is one
	@$(MESHGATE) setup

run: setup migrate-up ## set everything up and run the gateway in the foreground
	@$(MESHGATE) serve

migrate-up: deps ## apply the migrations that are missing
	@$(MESHGATE) migrate up

migrate-down: deps ## revert the newest migration
	@$(MESHGATE) migrate down

migrate-status: deps ## list the migrations and when each was applied
	@$(MESHGATE) migrate status

test: deps ## run all tests, or those of TESTS=path; with CI=true nothing may be left out
ifeq ($(CI),true)
	@sh scripts/install-ci-tools.sh
	@sh scripts/install-e2e-tools.sh
endif
	@$(BUN) scripts/test.ts $(TESTS)

e2e: deps e2e-tools ## run the tests with real bridges and homeservers
	@$(BUN) scripts/test.ts tests/e2e/bridges tests/e2e/homeservers

e2e-tools: ## install what they need besides: Synapse and the bridges, into .tools
	@sh scripts/install-e2e-tools.sh

lint: deps ## check format, types, dead code, layers, comments, works and shell scripts
	@$(PACKAGE_RUN) check:code
	@$(PACKAGE_RUN) check:types
	@$(PACKAGE_RUN) check:unused
	@$(PACKAGE_RUN) check:layers
	@$(BUN) scripts/comments.ts
	@$(BUN) scripts/works.ts
ifeq ($(CI),true)
	@sh scripts/install-ci-tools.sh
endif
	@sh scripts/shellcheck.sh
ifeq ($(CI),true)
	@$(BUN) scripts/audit.ts
endif

audit: deps ## look for known vulnerabilities of the packages in bun.lock
	@$(BUN) scripts/audit.ts

format: deps ## format the code and fix what can be fixed
	@$(PACKAGE_RUN) format

build: deps ## build dist/meshgate, one file for this platform
	$(BUN) scripts/build.ts

build-all: deps ## build dist/meshgate-<platform> for every platform, and list what they are made of
	$(BUN) scripts/build.ts all

bench: deps ## measure against the figures to reach
	$(BUN) tests/bench/main.ts

faults: deps ## break everything around the program, and count what it loses (FAULTS="--seed 1 --minutes 30")
	@$(BUN) tests/faults/main.ts $(FAULTS)

migration-sql: deps ## print the SQL of the tables in src/db/schema, to write a migration from
	@$(BUN) --bun node_modules/.bin/drizzle-kit export

schema: deps ## write docs/schema.sql from the migrations
	@$(BUN) scripts/schema.ts > docs/schema.sql.new && mv docs/schema.sql.new docs/schema.sql

openapi: deps ## write openapi.json from the routes
	@$(BUN) src/http/openapi/print.ts > openapi.json.new && mv openapi.json.new openapi.json

clean: ## remove what was built (not .env, the data or the installed tools)
	rm -rf dist
