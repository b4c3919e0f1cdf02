# One word per task; CI runs the same words (.ci/run). `make demo` or `make test` may be the first command on a
# fresh clone: each builds what it needs, and builds again only when the sources of the build changed.

VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= configs/b2bua.yaml
PYTEST_ARGS ?=

# What the installed package is made from. Python files are not: the install is editable.
BUILD_INPUTS := pyproject.toml Cargo.toml $(wildcard Cargo.lock) \
	$(shell find media/core \( -name '*.rs' -o -name '*.toml' \) -not -path '*/target/*')

# rustup's folder counts even when the login shell has not put it on PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
PYPY := target/pypy-venv/bin/python
PYPY_NURSERY := 4M
PYPY_CALLS := $(addprefix tests/interop/,test_sipp_calls.py test_handoff_audio.py test_tls_calls.py test_embedded_store.py \
	test_handoff_calls.py::test_over_http_with_digest)

.PHONY: help setup demo run test test-pypy lint type bench soak clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## build and install into .venv, with everything a developer needs (PYTHON= names the Python)

demo: $(VENV)/.runtime ## play ten calls on this machine: what works, what fails, how a caller gets from an assistant to a human
	@$(BIN)/b2bua demo

run: $(VENV)/.runtime ## run the B2BUA (CONFIG= names the configuration)
	@$(BIN)/b2bua run --config $(CONFIG)

# A file stays in one worker: what it prepares once, a wheel or a cluster, is not prepared by both.
test: $(VENV)/.dev ## install the peers that the tests call and run every test (PYTEST_ARGS= for pytest)
	@scripts/install_peers
	@cargo test --quiet --workspace --no-default-features
	@$(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

# First what runs on PyPy itself; schemathesis has no build for it within minutes. Then peers on CPython that call a
# B2BUA on PyPy, which has the audio by our engine: rtpengine's is no business of Python's. Not twenty calls a second for
# a minute: a process that still compiles may refuse some on a busy machine, and grows.
test-pypy: $(VENV)/.dev ## install PyPy into target/ and run rfc, scenarios, fuzz and the calls of real phones on it (docs/pypy.md)
	@scripts/install_pypy
	@scripts/install_peers
	@PYPY_GC_NURSERY=$(PYPY_NURSERY) $(PYPY) -m pytest -n 2 --dist loadfile tests/rfc tests/scenarios tests/fuzz \
		tests/unit/test_store.py tests/unit/test_store_sqlite.py --ignore tests/fuzz/test_fuzz_http_api.py $(PYTEST_ARGS)
	@B2BUA_PYTHON=$(CURDIR)/$(PYPY) $(BIN)/pytest -k 'not rtpengine and not twenty_calls' $(PYPY_CALLS) $(PYTEST_ARGS)

lint: $(VENV)/.dev ## formatting, lint rules, import arrows, generated docs
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "not formatted; run: $(BIN)/ruff format" >&2; exit 1; }
	@$(BIN)/lint-imports --no-logo >$(VENV)/lint-imports.log 2>&1 || { cat $(VENV)/lint-imports.log; exit 1; }
	@cargo fmt --all --check
	@cargo clippy --quiet --workspace --all-targets -- -D warnings
	@$(BIN)/python scripts/generate_docs.py --check
	@echo "lint: clean"

type: $(VENV)/.dev ## mypy --strict, and the native core against its typed stub
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/python -m mypy.stubtest --concise media._native
	@echo "type: clean"

bench: $(VENV)/.dev ## measure relay, signalling and handoff on this machine (see benchmarks/README.md)
	@scripts/install_peers
	@scripts/install_bench_peers
	@scripts/install_asterisk
	@$(BIN)/python benchmarks/relay.py
	@$(BIN)/python benchmarks/signalling.py
	@$(BIN)/python benchmarks/call_path.py
	@$(BIN)/python benchmarks/handoff_gap.py
	@$(BIN)/python benchmarks/listening.py
	@$(BIN)/python benchmarks/mixing.py
	@$(BIN)/python benchmarks/api_latency.py

soak: $(VENV)/.dev ## half an hour of calls, 200 at once and half of them SRTP: nothing may grow
	@scripts/install_peers
	@$(BIN)/python benchmarks/soak.py

clean: ## remove what was built, the virtualenv included
	@rm -rf $(VENV) target build dist demo-output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis media/_native*.so
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two stamps: `.runtime` says that b2bua runs, `.dev` that its developers' tools are there as well.
$(VENV)/.runtime: $(BUILD_INPUTS) | $(BIN)/pip
	$(call install,.,)

$(VENV)/.dev: $(BUILD_INPUTS) | $(BIN)/pip
	$(call install,.[dev], and the development tools)
	@touch $(VENV)/.runtime $@

$(BIN)/pip:
	@python=$$(PYTHON="$(PYTHON)" scripts/find_python) || exit 1; \
	echo "making $(VENV) with $$python"; \
	"$$python" -m venv --clear $(VENV)

# $1 what pip installs, $2 what else to announce
define install
	@command -v cargo >/dev/null || { echo "b2bua needs a Rust toolchain (cargo) to build its media core;" \
		"https://rustup.rs or your distribution has one" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "b2bua needs a linker (cc) to build its media core; Debian: gcc" >&2; exit 1; }
	@echo "installing b2bua$(2) into $(VENV) (the first build takes a few minutes)"
	@$(BIN)/pip install --quiet --editable '$(1)'
	@touch $@
endef
