# Thin lines over cargo. `make` alone lists the targets.

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Any of these works on its own: make test, make test ARGS="--test transcripts"
ARGS ?=
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup venv build run stop test test-long lint bench benchquick bench-codec bench-reduce fuzz asan docs clean

help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: ## installs what is missing: redis-server, C compiler, libclang, Python (Debian, as root)
	@tools/setup.sh

venv: setup
	@tools/venv.sh

build: setup ## builds the module in release as ./ndarray.so
	cargo build --release --locked
	install -m 755 $(TARGET)/release/libredis_ndarray.so ndarray.so

run: build ## starts a server with the module and walks through examples/
	@tools/run.sh start

stop: ## stops the server of `make run`
	@tools/run.sh stop

test: venv ## runs every test, after all set-up
	cargo test --locked $(ARGS)

test-long: venv ## runs what takes gigabytes and minutes: arrays above 512 MB
	LONG=1 cargo test --locked --test persistence --test large -- --include-ignored

lint: setup ## rustfmt, clippy and rustdoc, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

bench: setup ## compares with plain Redis commands; the table is docs/BENCHMARKS.md
	cargo build --locked --release --example floor
	cargo bench --locked --bench redis -- --write $(ARGS)

benchquick: setup ## runs every row of the benchmarks once, to see that it works
	cargo build --locked --example floor
	cargo bench --locked --profile dev --bench redis -- --quick

bench-reduce: venv ## compares the reductions with NumPy in process, one thread each
	cargo bench --locked --no-default-features --bench reduce -- $(ARGS)

bench-codec: venv ## compares the codecs with blosc2, lz4 and zlib; the tables are docs/CODECS.md
	@tools/venv.sh benches/codec/requirements.txt
	cargo bench --locked --no-default-features --bench codec -- --write $(ARGS)

fuzz: ## runs every fuzz target for FUZZ_SECONDS (60); needs nightly and cargo-fuzz
	@for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

asan: venv ## runs the server tests on a module with AddressSanitizer; needs nightly
	@tools/asan.sh $(ARGS)

docs: setup ## builds the documentation of the library, and docs/COMMANDS.md
	BLESS=1 cargo test --locked --lib the_reference_in_docs_is_fresh
	cargo doc --locked --no-deps

clean: stop ## removes what was built
	cargo clean
	rm -rf ndarray.so .run .venv
