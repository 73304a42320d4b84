# One command for everything. `make help` lists it. Needs root for demo, test and bench.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
OBJECT := src/vifguard/enforce/bpf/guard.bpf.o
PACKAGES := clang libbpf-dev gcc libc6-dev iproute2 nftables ethtool python3-venv \
  keepalived dnsmasq-base udhcpc tcpdump iputils-ping postgresql nginx-light curl \
  qemu-system-x86 busybox-static cpio kmod strace faketime
# What drives a server as a process; the rest of the unit tests is quick.
SERVER := tests/store tests/api tests/cli tests/oracles/neutron
# The files with tests of the kernel's: to collect all others takes half a minute. Those that take
# longest come first, so that at the end no process is left alone with one.
KERNEL_LONG := $(addprefix tests/,cli/test_misfortune.py cli/test_up.py cli/test_existing_host.py \
  enforce/test_apply.py enforce/test_next_agent.py oracles/stacks/test_stacks.py \
  agent/test_losses.py enforce/test_carried.py \
  triangle/test_exhaustive.py agent/test_killed.py audit/test_kernel.py agent/test_adopted_bridges.py)
KERNEL := $(KERNEL_LONG) $(filter-out $(KERNEL_LONG),\
  $(sort $(shell grep -rl --include='test_*.py' 'mark\.kernel' tests)))
# Where the environment forbids it, each command that a test starts compiles all it imports anew.
export PYTHONDONTWRITEBYTECODE :=
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help setup packages fmt check test test-full test-lab test-kernels conformance-full demo bench fuzz lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.installed $(OBJECT) ## system packages that lack (make packages names them), Python's into .venv, the eBPF object

packages: ## the system packages that setup installs: a compiler, and what tests, lab and demo use
	@echo $(PACKAGES)

build/packages: Makefile
	@mkdir -p build
	@missing=$$(for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	  echo "make setup installs, by apt:" $$missing; \
	  $(SUDO) apt-get -qq -o DPkg::Lock::Timeout=300 update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
	    -o DPkg::Lock::Timeout=300 install $$missing >/dev/null; \
	fi
	@touch $@

$(VENV)/.installed: build/packages requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(OBJECT): src/vifguard/enforce/bpf/guard.bpf.c $(wildcard src/vifguard/enforce/bpf/*.h) build/packages
	clang -O2 -g -Wall -Werror -target bpf -mcpu=v3 -I/usr/include/$$(uname -m)-linux-gnu -c $< -o $@

lock: $(VENV)/.installed ## pin every dependency with its hashes
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --all-extras \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements.txt pyproject.toml
	@# pip-compile leaves out the marker of an extra's requirement: elsewhere there is no wheel.
	@sed -i -E "s/^(atheris==[0-9.]+) /\1 ; platform_machine == 'x86_64' and python_version < '3.14' /" requirements.txt

fmt: setup ## format
	$(BIN)/ruff format src tests bench peers fuzz
	$(BIN)/ruff check --fix src tests bench peers fuzz

check: setup ## format, lint, types, import contract, unit tests; under a minute
	$(BIN)/ruff format --check src tests bench peers fuzz
	$(BIN)/ruff check src tests bench peers fuzz
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto -m "not kernel" $(addprefix --ignore=,$(SERVER))

test: check build/keystone/.installed build/stacks/.installed ## everything that proves it: servers, real kernels, the lab, Debian 12's own kernel
	@# A file is one process's: Keystone, which takes long to start, is started once.
	$(BIN)/pytest -q -n auto --dist loadfile -m "not kernel" $(SERVER)
	@# The tests on this kernel wait more than they work; those on the other, which only work, fill in.
	$(MAKE) --no-print-directory -j2 test-here test-kernels-beside
	$(MAKE) --no-print-directory test-lab

.PHONY: test-here test-kernels-beside
test-here: setup
	@# A file is one process's: its tests share a host with its ports. In the order given: how many
	@# tests a file has says nothing of how long they take.
	$(SUDO) env VIFGUARD_THOROUGH=$(THOROUGH) $(BIN)/pytest -q -n $$((2 * $$(nproc))) \
	  --dist loadfile --no-loadscope-reorder -m kernel $(KERNEL)
test-kernels-beside: setup
	@$(MAKE) --no-print-directory test-kernels > build/test-kernels.log 2>&1; status=$$?; \
	  cat build/test-kernels.log; exit $$status

# How much longer the searches look; from 2 on, tests marked `full` run too.
THOROUGH ?= 1
test-full: build/peer-packages ## make test with the long searches, every way to attach, and ten million fuzzed frames; hours
	$(MAKE) --no-print-directory test THOROUGH=10
	$(MAKE) --no-print-directory test-kernels THOROUGH=10 KERNEL=6.12
	$(MAKE) --no-print-directory conformance-full
	$(SUDO) $(BIN)/python -m fuzz --frames 10000000

test-lab: setup ## the lab's scenarios, two at a time
	$(MAKE) --no-print-directory -j2 --output-sync=target lab-attacks lab-stories

# Each scenario has namespaces of its own: the two are played beside each other.
.PHONY: lab-attacks lab-stories
lab-attacks: setup
	$(SUDO) $(BIN)/vifguard lab run s1 s2 s6 s8
lab-stories: setup
	$(SUDO) $(BIN)/vifguard lab run s4 s3 s5 s9 lifecycle

test-kernels: setup ## the driver and a short lab on Debian 12's own 6.1 kernel, in QEMU; KERNEL=6.12: on its other one
	$(SUDO) env VIFGUARD_THOROUGH=$(THOROUGH) tests/kernels/run || [ $$? = 77 ]

conformance-full: setup ## the catalogue by each way to attach, both orders of ports, and 0, 1 and 5 security groups
	for attach in tcx clsact; do for s in s1 s1r s1g1 s1g5 lifecycle; do \
	  echo "$$s, $$attach"; $(SUDO) VIFGUARD_ATTACH=$$attach $(BIN)/vifguard lab run $$s || exit 1; \
	done; done

demo: setup ## the whole problem on one host, on real kernels, in about four minutes
	$(SUDO) $(BIN)/vifguard lab run s1 s2 s3 s4 s5 s6

bench: setup build/peer-packages build/neutron/.installed ## what a packet, a port and an API call cost, beside other makers' filters; writes bench/results/
	$(SUDO) $(BIN)/python -m bench

.PHONY: bench-api
bench-api: setup build/neutron-api/.installed ## the same API calls to vifguard on SQLite and PostgreSQL, and to Neutron; writes bench/results/
	$(SUDO) $(BIN)/python -m bench api-peers

.PHONY: diff-neutron
diff-neutron: setup build/neutron-api/.installed ## ask Neutron and vifguard the same; a difference without its line fails
	$(SUDO) $(BIN)/python -m tests.oracles.neutron

.PHONY: plots
plots: setup ## draw bench/results/ as docs/plots/*.svg
	$(BIN)/python -m bench.plots

# Their services are not needed: each peer, and the tests of real guests, starts daemons of its own.
PEER_PACKAGES := libvirt-daemon libvirt-clients libvirt-daemon-config-nwfilter \
  libvirt-daemon-driver-qemu systemd-container iptables ipset \
  conntrack lxd openvswitch-switch ovn-central ovn-host busybox-static nftables ethtool

build/peer-packages: Makefile
	@mkdir -p build
	@missing=$$(for p in $(PEER_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	  echo "make setup installs, by apt:" $$missing; \
	  $(SUDO) apt-get -qq -o DPkg::Lock::Timeout=300 update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
	    -o DPkg::Lock::Timeout=300 install $$missing >/dev/null; \
	fi
	@touch $@

# The last release with the Linux bridge agent, in an environment that nothing else sees.
build/neutron/.installed: build/packages
	@$(PYTHON) -m venv build/neutron
	@build/neutron/bin/pip install --quiet --disable-pip-version-check \
	  "neutron==25.2.3" setuptools "pyroute2<0.8"
	@touch $@

# The newest that runs on PostgreSQL, for the bench of the API.
build/neutron-api/.installed: build/packages
	@$(PYTHON) -m venv build/neutron-api
	@build/neutron-api/bin/pip install --quiet --disable-pip-version-check \
	  "neutron==29.0.0" "gunicorn==27.0.1" psycopg2-binary
	@touch $@

# An identity service for the tests, in an environment that nothing else sees.
build/keystone/.installed: build/packages
	@$(PYTHON) -m venv build/keystone
	@build/keystone/bin/pip install --quiet --disable-pip-version-check "keystone==30.0.0"
	@touch $@

# Stacks for the tests of guests; what this system's packages do not have is skipped there.
STACK_PACKAGES := liblwip-dev runsc isc-dhcp-client
build/stacks/.installed: build/packages tests/oracles/stacks/endpoints/on_lwip.c
	@mkdir -p build/stacks
	@for p in $(STACK_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
	    -o DPkg::Lock::Timeout=300 install $$p >/dev/null || true; done
	@! dpkg -s liblwip-dev >/dev/null 2>&1 || gcc -O1 -Wall -Wextra -Werror -I/usr/include/lwip \
	  tests/oracles/stacks/endpoints/on_lwip.c -llwip -o build/stacks/lwip
	@$(PYTHON) -m venv build/stacks/pytcp
	@build/stacks/pytcp/bin/pip install --quiet --disable-pip-version-check "pytcp==2.7.6"
	@touch $@

.PHONY: audit-peers
audit-peers: setup build/peer-packages build/neutron/.installed ## hosts that others wrote, audited by the same kit; writes docs/conformance.md
	$(SUDO) $(BIN)/python -m peers

MINUTES ?= 5
fuzz: setup ## reference against eBPF program on frames that nobody wrote; MINUTES=5
	$(SUDO) $(BIN)/python -m fuzz --minutes $(MINUTES)

clean: ## what building left
	rm -rf $(VENV) build $(OBJECT) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
