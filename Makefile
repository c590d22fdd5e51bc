# make demo and make test are all a newcomer needs; make check is what a change must pass, make quick what one asks
# between two edits.

PYTHON ?= python3
PORT ?= 8080
# make PYTHON=python3.13 test has an environment of its own, .venv-python3.13, beside that of python3.
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
# SATOSA runs under the same Python.
SATOSA := .satosa$(patsubst .venv%,%,$(VENV))
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Debian packages whose program has the package's name; the tests start real ones.
PROGRAMS := redis-server sqlite3 xmlsec1 chromium firefox-esr
# Those that stand beside the broker in tests, each by a file of its package; without what they recommend.
PEERS := /usr/bin/systemd-analyze=systemd /usr/sbin/nginx=nginx-light /usr/sbin/apache2=apache2-bin /usr/sbin/shibd=shibboleth-sp-utils /usr/bin/openssl=openssl /usr/bin/ssh-keygen=openssh-client \
	/usr/lib/apache2/modules/mod_shib.so=libapache2-mod-shib \
	/usr/lib/apache2/modules/mod_auth_mellon.so=libapache2-mod-auth-mellon \
	/usr/lib/python3/dist-packages/lasso.py=python3-lasso /usr/bin/node=nodejs /usr/bin/npm=npm
# What these tests take from npm, into .node; the lock file has hashes, and no host names.
NODE := tests/interop/parties/node
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Installs Debian packages, with options of apt-get if there are any, or says in one sentence what is missing.
define install
{ command -v apt-get >/dev/null || { echo "Please install:$(1)" >&2; exit 1; }; \
  echo "Installing Debian packages:$(1)"; \
  $(SUDO) apt-get update --quiet=2 && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes $(2)$(1) >/dev/null; }
endef

# Two workers more than there are cores, for many tests wait for a server; one that has nothing left takes tests over.
CORES := $(shell nproc)
WORKERS ?= $(shell echo $$(($(CORES) < 5 ? $(CORES) + 2 : 6)))
# How random tests draw: see tests/conftest.py.
DRAWN ?= whole
# Which tests make test runs, by their marks: .ci/run runs those of make slow with them.
MARKS ?= not slow and not full
PYTEST = $(BIN)/python -m pytest -rR --rerun-show-tracebacks --max-suite-reruns=5 -n $(WORKERS) --dist worksteal --hypothesis-profile=$(DRAWN)

# The tests start the broker a hundred times: each would compile it anew where no bytecode is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: venv demo quick matrix test slow full interop libraries first-day kills machines soak pictures check static programs peers bench satosa fuzz sbom lock clean

venv: $(VENV)/run.stamp

$(VENV)/run.stamp: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	@version=$$($(PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(call install, $$version-venv)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/demo.stamp: requirements-demo.txt $(VENV)/run.stamp
	$(PIP) --require-hashes -r requirements-demo.txt
	@touch $@

$(VENV)/test.stamp: requirements-test.txt $(VENV)/run.stamp
	$(PIP) --require-hashes -r requirements-test.txt
	@touch $@

demo: $(VENV)/demo.stamp
	$(BIN)/broker demo --port-base $(PORT)

programs:
	@missing=; for each in $(PROGRAMS); do command -v $$each >/dev/null || missing="$$missing $$each"; done; \
	[ -z "$$missing" ] || $(call install,$$missing)

peers:
	@missing=; for each in $(PEERS); do [ -e $${each%=*} ] || missing="$$missing $${each#*=}"; done; \
	[ -z "$$missing" ] || $(call install,$$missing,--no-install-recommends)
	@[ .node/node_modules -nt $(NODE)/package-lock.json ] || { mkdir -p .node && cp $(NODE)/package*.json .node && \
	  npm ci --prefix .node --ignore-scripts --no-audit --no-fund --silent && touch .node/node_modules; }

# What starts no server, no browser and no other program, and takes no third of a second alone (the mark long); of what
# is drawn at random a fifth of what make test draws.
quick: $(VENV)/test.stamp
	$(PYTEST) -m "not server and not slow and not full and not long" -n $(CORES) --hypothesis-profile=few $(ARGS)

# The same under every Python from 3.11 on that this machine has; says which it has not.
matrix:
	.ci/matrix $(ARGS)

# What one needs to trust a clone. Each test is run by this, by make slow or by make full.
test: $(VENV)/test.stamp programs peers
	$(PYTEST) -m "$(MARKS)" $(ARGS)

# Fuzz, races at two workers, every page in every scheme and width, the products of the field, kills and starts.
# The gate (DRAWN=gate) runs choose_size of tests/plugins/example_counts.py.
slow: $(VENV)/test.stamp programs peers
	$(PYTEST) -m "slow and not full" $(ARGS)

# The same with every size that is promised, and what only make full runs: the walks and looks that repeat those of
# make test and make slow in another browser, in another language or on another store.
full: $(VENV)/test.stamp programs peers
	$(PYTEST) -m "slow or full" --hypothesis-profile=whole $(ARGS)

# The random tests many times over.
fuzz: $(VENV)/test.stamp
	FUZZ_TIMES=20 $(PYTEST) tests/attacks/test_fuzz.py $(ARGS)

# The products of the field on both sides of the broker; prints which does what, and fails where one does not.
interop: $(VENV)/test.stamp programs peers
	$(BIN)/python -m pytest --quiet --no-header -p tests.interop.parties.matrix tests/interop $(ARGS)

# The laws of the port of library systems on each that is supplied, or on yours (docs/library-systems.md); prints a table.
libraries: $(VENV)/test.stamp
	$(BIN)/python -m pytest --quiet --no-header -n 0 -p tests.conformance.library_suite.table tests/conformance/library_systems $(ARGS)

# 5,000 first logins at a library of 40,000 borrowers; prints how many get in, claim their account or become a case.
first-day: $(VENV)/test.stamp
	$(BIN)/python -m tests.simulations.first_day $(ARGS)

# 50 kill -9 of web workers and background workers during first logins, on SQLite and on Redis.
kills: $(VENV)/test.stamp programs
	$(BIN)/python -m tests.simulations.kills $(ARGS)

# Two machines behind nginx with Redis (Sentinel, Cluster): logins while a machine is killed, the master fails over, keys
# are rotated and an old release runs. Prints what was lost; --short runs one round with few logins.
machines: $(VENV)/test.stamp programs peers
	$(BIN)/python -m tests.simulations.machines $(ARGS)

# Ten minutes of logins at 16 at once behind nginx, and two reloads; prints memory,
# descriptors and what was lost. ARGS="--seconds 60" for a short one.
soak: $(VENV)/test.stamp programs peers
	$(BIN)/python -m tests.simulations.soak $(ARGS)

# Pictures of the main pages for the documents, in two languages and widths.
pictures: $(VENV)/test.stamp programs
	$(BIN)/python -m tests.simulations.pictures $(ARGS)

# Everything a change must pass that is not a test: format, lint, types, import law, the shipped policies' own examples.
static: $(VENV)/test.stamp
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy --strict
	$(BIN)/lint-imports
	$(BIN)/broker policy check

check: static test slow

# What a login costs, every case beside its budget; SATOSA beside it where it is installed.
bench: $(VENV)/test.stamp programs
	$(BIN)/python -m bench --satosa $(SATOSA)/bin/python $(ARGS)

# The yardstick of the benchmark, in an environment of its own: its libraries are not ours.
satosa: $(SATOSA)/satosa.stamp programs

$(SATOSA)/satosa.stamp: bench/requirements-satosa.txt
	$(PYTHON) -m venv $(SATOSA)
	$(SATOSA)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r bench/requirements-satosa.txt
	@touch $@

# The versions, hashes and licences of everything that runs, for a release (CycloneDX).
sbom: $(VENV)/run.stamp
	@mkdir -p dist
	$(BIN)/python -m deploy.sbom > dist/sbom.json

# Writes the lock files anew: hashes, and no index or host names.
lock:
	$(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet pip-tools
	.lock/bin/pip-compile $(LOCK) $(OWN) --upgrade -o requirements.txt pyproject.toml
	.lock/bin/pip-compile $(LOCK) $(OWN) --upgrade --extra demo -c requirements.txt -o requirements-demo.txt pyproject.toml
	.lock/bin/pip-compile $(LOCK) $(OWN) --extra demo --extra test -c requirements-demo.txt -o requirements-test.txt pyproject.toml
	.lock/bin/pip-compile $(LOCK) --upgrade -o bench/requirements-satosa.txt bench/requirements-satosa.in

	npm install --prefix $(NODE) --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund --silent
	python3 -c 'import json, pathlib; path = pathlib.Path("$(NODE)/package-lock.json"); lock = json.loads(path.read_text()); \
	[each.pop("funding", None) for each in lock["packages"].values()]; path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n")'

OWN := --build-deps-for editable
LOCK := --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

clean:
	rm -rf .venv .venv-* .satosa .satosa-* .bench .lock .node .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
