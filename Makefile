# Everything a person or a machine does with this repository. `make` alone lists the targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
CARGO ?= cargo

# Programs of the dev profile; `try`, `demo` and the system tests start these.
bin := $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help try demo build check test mutants planted bench simulate corpus release old-platform packages packages-test puppet-test cluster cluster-test cluster-operations model vm vm-test crashes story-silent story-masters test-openstack

help:
	@echo 'make try      the main job on this very machine: real findings, four verdicts, a dashboard  (ARGS="--once --json")'
	@echo 'make demo     the same with a real Docker, Mesos, Puppet and volumes, one node busy and one empty'
	@echo 'make test     installs what it needs, then lints, scenarios, stories against real systems'
	@echo 'make check    format, lints, licences'
	@echo 'make mutants  plants bugs and expects the tests to notice'
	@echo 'make planted  plants bugs and expects the simulation to name the invariant that each breaks  (BUG=WORDS)'
	@echo 'make model    every order of events of the permit'\''s protocol, in larger worlds than the tests have time for'
	@echo 'make bench    our programs beside their peers, as ratios'
	@echo 'make simulate  days of a cluster in seconds, with everything that can go wrong  (HOURS=48 SEED=1 SEEDS=100)'
	@echo 'make corpus   reads a folder of recorded responses with the production readers  (CORPUS=DIR)'
	@echo 'make release  binaries for glibc 2.17 and Linux 3.10, and the proof that they run there'
	@echo 'make packages an .rpm (CentOS 7 and newer), a .deb and a .tar.gz each of agent, coordinator and command line'
	@echo '              (make packages-test installs, upgrades, downgrades and removes them in roots of their own)'
	@echo 'make cluster  a whole site in containers: Puppet, a coordinator, a master, two agents; until Ctrl-C  (PROGRAMS=FOLDER)'
	@echo '              (make cluster-test tells its story: install by Puppet, renew, revoke, upgrade, downgrade, remove)'
	@echo '              (make cluster-operations: with Mesos, a node at work is rebooted by an operation, whatever is killed meanwhile)'
	@echo 'make vm-test  one real reboot, of a small virtual machine  (PROGRAMS=FOLDER; `make vm` keeps it until Ctrl-C)'
	@echo 'make crashes  kills the real coordinator at random places of real operations  (SEED=1 KIND="rebuild delete")'
	@echo 'make story-silent  a node that froze is reset from outside and comes back: eight minutes, mostly of silence'
	@echo 'make story-masters  a master is rebooted beside a real ZooKeeper ensemble whose member loses its disk: a quarter of an hour'
	@echo 'make test-openstack  servers are really reset, rebuilt, stopped and deleted in a small real OpenStack: eight minutes  (STORY=rebuild)'
	@echo 'make puppet-test  checks, compiles and applies the Puppet module, with the real programs  (PROGRAMS=FOLDER)'

# Only the program's own words may reach standard output: tools read it.
try: build
	@exec $(bin)/millwright try $(ARGS)

build:
	@tests/lab/needs.sh cc make >&2
	@test -x $(bin)/millwright || echo 'building; the first time this takes some minutes' >&2
	@$(CARGO) build --quiet --locked --workspace --bins >&2

demo: build
	@tests/lab/install.sh >&2
	@$(CARGO) build --quiet --locked -p millwright-tests --examples >&2
	@exec $(bin)/examples/demo $(ARGS)

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	tests/lab/deny.sh

test:
	tests/lab/needs.sh cc make
	tests/lab/install.sh
	$(MAKE) check
	$(CARGO) build --locked --workspace --all-targets
	# More threads than cores: stories mostly wait for real systems.
	MILLWRIGHT_LAB=$${MILLWRIGHT_LAB:-required} RUST_TEST_THREADS=$${RUST_TEST_THREADS:-8} \
		$(CARGO) test --locked --workspace
	tests/lab/clean-tree.sh

# Longer than a test may take: each planted bug is a build of its own.
mutants:
	$(CARGO) run --quiet --locked -p millwright-tests --example mutants -- "$(MUTANT)"

# One build of a copy with every bug as a switch, then up to 1000 histories for each.
planted:
	$(CARGO) run --quiet --locked -p millwright-tests --example planted -- "$(BUG)"

# The same sources as in `make test`, optimised: the checker's work is in the model's own package.
model:
	@MILLWRIGHT_MODEL=large $(CARGO) test --quiet --locked -p millwright-tests --test model \
		--config 'profile.dev.package.millwright-tests.opt-level=3' -- --nocapture --test-threads 1

bench:
	@tests/bench/run.sh

# HOURS of each history, first SEED, how many SEEDS; WITHOUT=KINDS of trouble.
simulate:
	@$(CARGO) build --quiet --locked --profile simulate -p millwright-tests --example simulate >&2
	@HOURS=$(HOURS) SEED=$(SEED) SEEDS=$(SEEDS) WITHOUT=$(WITHOUT) exec $(or $(CARGO_TARGET_DIR),target)/simulate/examples/simulate

corpus:
	@test -n "$(CORPUS)" || { echo 'say which folder: make corpus CORPUS=DIR' >&2; exit 2; }
	@$(CARGO) build --quiet --locked -p millwright-tests --example corpus >&2
	@exec $(bin)/examples/corpus "$(CORPUS)"

release:
	packaging/build.sh

old-platform:
	packaging/prove-old-platform.sh

# Ready programs instead of a build: make packages PROGRAMS=FOLDER
packages:
	packaging/packages.sh $(PROGRAMS)

packages-test:
	packaging/test-packages.sh $(PROGRAMS)

# Ready programs instead of a build: make puppet-test PROGRAMS=FOLDER
puppet-test: $(if $(PROGRAMS),,build)
	packaging/puppet/test.sh $(or $(PROGRAMS),$(bin))

# Ready programs instead of packages that have been made: make cluster PROGRAMS=FOLDER
cluster:
	@exec tests/cluster/cluster.sh run $(PROGRAMS)

cluster-test:
	@exec tests/cluster/cluster.sh test $(PROGRAMS)

# Beside the product's programs it takes two of the tests: a framework of Mesos, and what runs its tasks.
cluster-operations:
	@tests/lab/install.sh >&2
	@$(CARGO) build --quiet --locked -p millwright-tests --example mesos-framework --example mesos-docker-executor >&2
	@MESOS_PROGRAMS=$(bin)/examples exec tests/cluster/cluster.sh operations $(PROGRAMS)

# Ready programs instead of a build: make vm-test PROGRAMS=FOLDER
vm: $(if $(PROGRAMS),,build)
	@exec tests/vm/vm.sh run $(or $(PROGRAMS),$(bin))

vm-test: $(if $(PROGRAMS),,build)
	@exec tests/vm/vm.sh test $(or $(PROGRAMS),$(bin))

# Minutes long, since proofs of emptiness and health take a minute each: no part of `make test`.
crashes: build
	@tests/lab/install.sh >&2
	@$(CARGO) build --quiet --locked -p millwright-tests --examples >&2
	@SEED=$(SEED) KIND="$(KIND)" exec $(bin)/examples/crashes

# A node counts as silent for good after five minutes, and there is no way around that: no part of `make test`.
story-silent: build
	@tests/lab/install.sh >&2
	@$(CARGO) build --quiet --locked -p millwright-tests --examples >&2
	@exec $(bin)/examples/story-silent

# Two masters count as well after ten minutes, and there is no way around that either.
story-masters: build
	@tests/lab/install.sh >&2
	@$(CARGO) build --quiet --locked -p millwright-tests --examples >&2
	@exec $(bin)/examples/story-masters

# Installs Debian's own OpenStack (1.7 GB), and takes 2 GB of memory for as long as it lasts: no part of `make test`.
test-openstack: build
	@$(CARGO) build --quiet --locked -p millwright-tests --example test-openstack >&2
	@tests/openstack/test.sh $(bin)/examples/test-openstack $(STORY)
