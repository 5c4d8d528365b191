# Short names for the commands of every day. What you put into ARGS goes to the program:
#   make run-server ARGS="--root lecture --read-only"

CARGO ?= cargo
ARGS ?=

.PHONY: help run-server run-client demo compare test fuzz bench check install clean .have-cargo

help: ## show these targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

run-server: .have-cargo ## start the server; ARGS="--help" lists its flags
	@$(CARGO) run --quiet --release --bin connme-server -- $(ARGS)

run-client: .have-cargo ## start the client; ARGS="ls" runs a single command
	@$(CARGO) run --quiet --release --bin connme-client -- $(ARGS)

demo: .have-cargo ## a short session with every byte shown, then the five dialects compared
	@$(CARGO) run --quiet --release --bin connme-client -- demo $(ARGS)

compare: .have-cargo ## the same job through all five dialects; FILE=... is the file
	@$(CARGO) run --quiet --release --bin connme-client -- compare "$(or $(FILE),README.md)" $(ARGS)

test: .have-cargo ## run all tests
	@$(CARGO) test --quiet

fuzz: .have-cargo ## random peers against everything; SEED=1 COUNT=100000
	@FUZZ_SEED="$(or $(SEED),1)" FUZZ_COUNT="$(or $(COUNT),100000)" $(CARGO) test --release --lib fuzz -- --nocapture

bench: .have-cargo ## the server beside bare loops; ARGS="--quick" is short, ARGS="--help" lists more
	@ulimit -n "$$(ulimit -Hn)" 2>/dev/null; $(CARGO) bench --quiet --bench bench -- $(ARGS)

check: .have-cargo ## the gate: format, lints, docs and tests, warnings as errors
	$(CARGO) fmt --check && $(CARGO) clippy --quiet --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --quiet --no-deps --document-private-items
	$(CARGO) test

install: .have-cargo ## put both programs where cargo keeps programs
	$(CARGO) install --locked --path .

clean: .have-cargo ## remove what was built
	$(CARGO) clean

.have-cargo:
	$(if $(shell command -v $(CARGO)),@:,$(error there is no $(CARGO) here: install Rust 1.89 or later, see https://rustup.rs))
