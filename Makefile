# What people and CI do with this checkout. The lock files were made for Python 3.11.

PYTHON ?= $(shell for p in python3.11 python3; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# stdatamodels has the keywords of jwst.
CLIENT := crds==14.0.3 stdatamodels==6.0.0
BIN := .venv/bin
# pip's warnings are about the machine's own settings; its errors are shown.
PIP := $(BIN)/python -m pip -qq --no-input --disable-pip-version-check
# A directory with all wheels, as a bundle has one: then no index is asked.
WHEELS ?= $(wildcard wheels)
INSTALL := $(PIP) install --require-hashes $(if $(WHEELS),--no-index --find-links $(WHEELS))
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras \
    --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

BUILD ?= build
TREE := crdscache-$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BUNDLE = $(TREE)-$(shell $(BIN)/python -c 'import sys, sysconfig; \
    print("python{}.{}".format(*sys.version_info), sysconfig.get_platform(), sep="-")').tar

.PHONY: help setup setup-dev setup-slurm bundle demo pictures test test-slurm lint format bench client lock clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/setup.stamp ## Make .venv with what a run needs, and byte code of the package.
	@$(BIN)/python -m compileall -q crdscache

setup-dev: setup .venv/setup-dev.stamp ## Add what tests, lint and lock need.

setup-slurm: setup .venv-slurm/setup.stamp ## Make .venv-slurm: what jobs by SLURM need beside .venv.

bundle: setup ## Pack the code and the wheels of all it needs as one tar, for machines without a way out.
	@rm -rf $(BUILD)/$(TREE) && mkdir -p $(BUILD)/$(TREE)
	@git ls-files -z | tar --null -cT - | tar -xC $(BUILD)/$(TREE)
	@$(PIP) wheel --require-hashes --no-deps -w $(BUILD)/$(TREE)/wheels -r requirements.lock
	@# What has no wheel was compared as it came, and is a wheel now: the bundle's lock knows that one too.
	@cd $(BUILD)/$(TREE) && for wheel in wheels/*.whl; do \
	    sum=$$(sha256sum "$$wheel" | cut -d ' ' -f 1); \
	    pin=$$(basename "$$wheel" | cut -d - -f 1,2 | sed 's/-/==/; s/_/-/g'); \
	    grep -q "$$sum" requirements.lock || sed -i "/^$$pin /a\    --hash=sha256:$$sum \\\\" requirements.lock; \
	done
	@cd $(BUILD) && tar -cf $(BUNDLE) $(TREE) && rm -r $(TREE) && sha256sum $(BUNDLE) > $(BUNDLE).sha256
	@echo "$(BUILD)/$(BUNDLE)"

demo: setup ## Sync a small cache from a demo server, and give best references from it, in a minute.
	@$(BIN)/python -B -m demo.tour

pictures: setup-dev ## Make the pictures of docs anew; needs Debian's chromium and chromium-driver.
	@$(BIN)/python -B -m demo.pictures

test: lint ## Run lint, then all tests (one of them: make test ARGS='-k words').
	$(BIN)/python -m pytest -n auto $(ARGS)

test-slurm: setup-dev setup-slurm ## Run the tests that need SLURM, by a cluster of one node that comes and goes.
	$(BIN)/python -m pytest tests/slurm $(ARGS)

lint: setup-dev ## Check style, types, imports and the workflow.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict crdscache demo
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakefmt --check Snakefile readers.smk rules
	CRDS_PATH="$(CURDIR)/.venv/lint-cache" CRDS_OBSERVATORY=hst $(BIN)/snakemake --lint
	CRDS_PATH="$(CURDIR)/.venv/lint-cache" CRDS_OBSERVATORY=hst $(BIN)/snakemake --lint \
	    -s readers.smk -d .venv/lint-cache/readers

format: setup-dev ## Format all code.
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile readers.smk rules

bench: setup-dev setup-slurm client ## Measure every figure that we claim.
	@set -e; for program in benchmarks/bench_*.py; do \
	    echo "== $$program"; PYTHONPATH=. $(BIN)/python "$$program"; done

client: .venv-client/setup.stamp ## Install the missions' own client, which tests and benchmarks compare with.

lock: setup-dev ## Write the lock files anew (later versions: make lock ARGS=--upgrade).
	$(COMPILE) $(ARGS) --output-file=requirements.lock requirements.in
	$(COMPILE) $(ARGS) --output-file=requirements-dev.lock requirements-dev.in
	$(COMPILE) $(ARGS) --output-file=requirements-slurm.lock requirements-slurm.in

clean: ## Remove all that was made here.
	rm -rf .venv .venv-client .venv-slurm build .hypothesis .snakemake .*_cache demo/run
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/setup.stamp: requirements.lock
	@echo "Installing what a run needs into .venv (half a minute)"
	@$(or $(PYTHON),$(error Python 3.11 or later is needed: make setup PYTHON=/path/to/python3.11)) -m venv .venv
	@$(INSTALL) -r requirements.lock
	@touch $@

.venv/setup-dev.stamp: requirements-dev.lock .venv/setup.stamp
	@echo "Installing what tests and lint need into .venv (half a minute)"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# It has the packages of .venv too, by a line that names their place: that is half of what it would take.
.venv-slurm/setup.stamp: requirements-slurm.lock .venv/setup.stamp
	@echo "Installing what jobs by SLURM need into .venv-slurm"
	@$(PYTHON) -m venv .venv-slurm
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	    >"$$(.venv-slurm/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/base.pth"
	@$(subst $(BIN),.venv-slurm/bin,$(INSTALL)) -r requirements-slurm.lock
	@touch $@

.venv-client/setup.stamp: Makefile
	@echo "Installing $(CLIENT) into .venv-client (a minute)"
	@$(PYTHON) -m venv .venv-client
	@.venv-client/bin/python -m pip install -qq --no-input --disable-pip-version-check $(CLIENT)
	@touch $@
