# Short names for the commands of every day. What you put into ARGS goes to the program:
#   make run-server ARGS="--root lecture --read-only"

CARGO ?= cargo
ARGS ?=

.PHONY: help run-server run-client demo lessons compare grade test test-all quick fuzz bench check dist install clean .have-cargo

help: ## show these targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

# The builds print nothing, so the first one is announced.
define announce
	@[ -e "$${CARGO_TARGET_DIR:-target}/$(1)" ] || echo "building connme, about half a minute" >&2
endef

# Runs a program without a line of make's own when it fails or ends with Ctrl-C. This drops its exit
# status: scripts call the program itself. The pause lets make notice Ctrl-C before its child has ended, or
# it complains that it has no children.
define run
	$(call announce,release)
	@$(CARGO) build --quiet --release --bins
	@trap : INT; $(2) $(CARGO) run --quiet --release --bin $(1) -- $(3) || sleep 0.2
endef

# Where a person types and rlwrap is installed, it gives the prompt arrow keys, a history and Tab.
with_rlwrap = lines=; if [ -t 0 ] && [ -t 1 ] && command -v rlwrap >/dev/null; \
	then export INPUTRC=src/cli/completions/rlwrap.inputrc; \
	lines="rlwrap -r -b : -f src/cli/completions/rlwrap.words -C connme-client"; fi; $$lines

run-server: .have-cargo ## start the server; ARGS="--help" lists its flags
	$(call run,connme-server,,$(ARGS))

run-client: .have-cargo ## start the client; ARGS="ls" runs a single command
	$(call run,connme-client,$(with_rlwrap),$(ARGS))

demo: .have-cargo ## a short session with every byte shown, then a comparison
	$(call run,connme-lab,,demo $(ARGS))

lessons: .have-cargo ## exercises to predict, run and explain; ARGS="12" begins there
	$(call run,connme-lab,,lesson $(ARGS))

compare: .have-cargo ## one file through each dialect that carries files; FILE=... is it
	$(call run,connme-lab,,compare "$(or $(FILE),README.md)" $(ARGS))

grade: .have-cargo ## check a server of yours; SERVER=HOST:PORT, ARGS="--list"
	$(call run,connme-lab,,--server "$(or $(SERVER),127.0.0.1)" grade $(ARGS))

# Runs tests, and lists afterwards what was skipped because something is missing here.
skipped = "$${CARGO_TARGET_DIR:-target}/tmp/skipped"
define tests
	@rm -f $(skipped); $(CARGO) test $(1); status=$$?; [ ! -e $(skipped) ] || sort -u $(skipped) | awk -F'\t' \
	'{n[$$1]++} END {printf "skipped: %d tests:", NR; for (tool in n) printf " %s (%d)", tool, n[tool]; print ""}'; \
	exit $$status
endef

test: .have-cargo ## run all tests
	$(call announce,debug)
	$(call tests,--quiet)

test-all: test ## the same, and fail if a test was skipped because something is missing here
	@[ ! -e $(skipped) ]

quick: .have-cargo ## after a small change: the tests inside the crate, and the transcripts
	@$(CARGO) test --quiet --lib && $(CARGO) test --quiet --test it -- transcripts sessions

fuzz: .have-cargo ## random peers against everything; SEED=1 COUNT=100000
	@FUZZ_SEED="$(or $(SEED),1)" FUZZ_COUNT="$(or $(COUNT),100000)" $(CARGO) test --release --lib fuzz -- --nocapture

bench: .have-cargo ## compare the server with minimal loops; ARGS="--help" lists the flags
	@ulimit -n "$$(ulimit -Hn)" 2>/dev/null; $(CARGO) bench --quiet --bench bench -- $(ARGS)

check: .have-cargo ## the gate: format, lints, docs and tests, warnings as errors
	$(CARGO) fmt --check && $(CARGO) clippy --quiet --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --quiet --no-deps --document-private-items
	$(call tests)

dist: .have-cargo ## pack the programs and the guide for those who have no Rust
	@.ci/dist

install: .have-cargo ## put the programs where cargo keeps programs
	$(CARGO) install --locked --path .

clean: .have-cargo ## remove what was built
	$(CARGO) clean

.have-cargo:
	$(if $(shell command -v $(CARGO)),@:,$(error there is no $(CARGO) here: install Rust 1.89 or later, see https://rustup.rs))
