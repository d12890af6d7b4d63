# What people call. Everything here does its own set-up on a bare Debian 12 with Rust, Python 3.11, Go
# and terraform; Debian packages that are missing are installed (root).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE := $(if $(REFARCH_CACHE),$(REFARCH_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/refarch)
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)
REFARCH := $(TARGET)/debug/refarch
SPEC := examples/lab-1k.yml
NAME_OF_SIZE = $(shell sed -n 's/^name: *//p' examples/lab-$(SIZE).yml)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: build lab-parts ansible ## Bring up a proven 1k on this machine (root; the package is a stand-in, not GitLab)
	$(REFARCH) up $(SPEC) --yes

.PHONY: demo-down
demo-down: build ## Remove what `make demo` made
	$(REFARCH) destroy $(SPEC) --confirm demo

.PHONY: build
build: ## Build refarch
	cargo build --locked --quiet

.PHONY: lab
ifdef SIZE
lab: build lab-parts ansible ## Build the lab (into the cache folder); with SIZE=3k, bring a 3k up on it and prove it
	$(REFARCH) up examples/lab-$(SIZE).yml --yes
else
lab: lab-parts
endif

.PHONY: lab-parts
lab-parts:
	lab/build

.PHONY: lab-down
lab-down: build ## Remove what `make lab SIZE=3k` made, with the same SIZE
	$(REFARCH) destroy examples/lab-$(SIZE).yml --confirm $(NAME_OF_SIZE)

.PHONY: ansible
ansible: build ## Install the pinned ansible-core into the cache folder
	tests/system openssh-client=ssh
	$(REFARCH) tools install

.PHONY: tofu
tofu: ## Build OpenTofu into the cache folder, where refarch finds it after `PATH`
	tools/tofu/build

.PHONY: test
test: ## Run every test (root, for the lab)
	tests/run

.PHONY: real
real: build lab-parts ansible ## Run the end-to-end tests with a real gitlab-ee: PACKAGE=FILE_OR_REPOSITORY (docs/compatibility.md)
	tests/real "$(PACKAGE)"

.PHONY: bench
bench: ## Measure what the design has budgets for (root, for the lab)
	tests/bench

.PHONY: soak
soak: ## Run what takes too long for `make test`: every mistake on a 3k, kills and lost nodes, and the tests on hosts over and over
	tests/run opentofu standin-cluster mistakes losses-3k
	for round in 1 2 3; do tests/run hosts standin end-to-end cluster || exit 1; done

.PHONY: clean
clean: ## Remove what was built here; the cache folder stays
	cargo clean
