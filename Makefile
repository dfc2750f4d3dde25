# fed_learn: what one does every day. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
JOBS ?= $(shell nproc)
SEEDS ?= 1000
build = cmake --preset $(1) >/dev/null && cmake --build --preset $(1) -j $(JOBS)

help:  ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps:  ## install what a build needs (apt)
	@scripts/install-deps.sh

release: deps  ## build bin/fedlearn, optimised
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target fedlearn
	@mkdir -p bin && ln -sf ../build/release/bin/fedlearn bin/fedlearn

demo: release  ## six regions train one survival model over mutual TLS
	@bin/fedlearn demo

test: deps  ## configure, build and run every test
	@$(call build,release)
	@ctest --preset release -j $(JOBS)

dev: deps  ## fast rebuild with assertions
	@$(call build,dev)

asan tsan: deps  ## every test under a sanitizer
	@$(call build,$@)
	@ctest --preset $@ -j $(JOBS)

chaos: deps  ## SEEDS=1000 federations under random trouble, each checked
	@cmake --preset release >/dev/null && cmake --build --preset release -j $(JOBS) --target simulate_test
	@FED_LEARN_SEEDS=$(SEEDS) build/release/bin/simulate_test --gtest_filter='ChaosTest.*'

format:  ## clang-format over the tree
	@git ls-files '*.cc' '*.h' | xargs clang-format-14 -i

bench: deps  ## measure rounds, transfers, sums and memory (QUICK=1: three minutes)
	@cmake --preset bench >/dev/null
	@cmake --build --preset bench -j $(JOBS) --target fedlearn federation_bench transport_bench aggregation_bench
	@benchmarks/run.sh build/bench

clean:  ## remove everything that was built
	@rm -rf build bin demo

.PHONY: help deps release demo test dev asan tsan chaos format bench clean
