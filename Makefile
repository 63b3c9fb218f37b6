# The commands of flower. `make up` is all that a user needs; the rest is for those who change it.
# Nothing here names a package registry: pip (or uv) uses the one that the machine is set up for.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
MYSQL := $(VENV)/.mysql
PYTEST := $(BIN)/python -m pytest
# One more than there are cores: many tests wait for processes of their own.
WORKERS = -n $$(($$(nproc 2>/dev/null || echo 2) + 1)) --dist loadfile

# The default suite must not find the services of somebody's shell or .env.
EMBEDDED := env -u DATABASE_URL -u REDIS_URL -u MEILI_URL -u MEILI_KEY

.DEFAULT_GOAL := help
.PHONY: help up test test-services e2e bench lint demo lock clean .venv
.SUFFIXES:

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1: \2/p' Makefile

up: $(RUNTIME) ## install, migrate, start everything in the foreground, print a login link
	@exec $(BIN)/python -m flower.up

test: $(DEV) ## the whole suite on the embedded default; no service needed
	@$(EMBEDDED) $(PYTEST) $(WORKERS) -m "not services and not e2e" $(ARGS)

test-services: $(DEV) $(MYSQL) ## what of the suite uses them, on the database and Redis of DATABASE_URL, REDIS_URL (default: this machine's)
	@FLOWER_ONLY_SERVICES="$${FLOWER_ONLY_SERVICES-1}" FLOWER_CLAIM_ROUNDS="$${FLOWER_CLAIM_ROUNDS-20}" \
		DATABASE_URL="$${DATABASE_URL-mysql://root@127.0.0.1:3306/test}" REDIS_URL="$${REDIS_URL-redis://127.0.0.1:6379/9}" \
		sh -c '$(BIN)/python -m tests.services_answer && exec $(PYTEST) $(WORKERS) -m "not e2e and not slow" $(ARGS)'

e2e: $(DEV) ## the browser tests, in the Chromium of this machine (or of FLOWER_CHROMIUM)
	@chromium="$${FLOWER_CHROMIUM:-$$(command -v chromium || command -v chromium-browser || command -v google-chrome)}"; \
	if [ ! -x "$$chromium" ]; then \
		echo "There is no Chromium on PATH; install it (Debian: apt-get install chromium) or set FLOWER_CHROMIUM." >&2; exit 1; \
	fi; \
	$(EMBEDDED) FLOWER_CHROMIUM="$$chromium" DJANGO_ALLOW_ASYNC_UNSAFE=1 $(PYTEST) -n 2 --dist loadfile -m e2e $(ARGS)

bench: $(DEV) ## the benchmarks; one table, and bench/results.json
	@exec $(BIN)/python -m bench

lint: $(DEV) ## ruff, mypy, migrations, templates, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(EMBEDDED) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(EMBEDDED) $(PYTEST) -q tests/flower/test_layers.py tests/flower/test_templates.py

demo: $(RUNTIME) ## against a running `make up`: one brief from idea to merge, by the bundled demo agent
	@exec $(BIN)/python -m demo

lock: $(DEV) ## make the requirements locks again from pyproject.toml (newest versions with ARGS=--upgrade)
	@command -v uv >/dev/null || PATH="$(CURDIR)/$(BIN):$$PATH" command -v uv >/dev/null || $(BIN)/python -m pip install -q uv
	@PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; \
	compile="uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links $(ARGS) pyproject.toml"; \
	$$compile -o requirements.lock && \
	$$compile --extra dev -c requirements.lock -o requirements-dev.lock && \
	$$compile --extra mysql -c requirements.lock -o requirements-mysql.lock && \
	for lock in requirements.lock requirements-dev.lock requirements-mysql.lock; do \
		{ echo '# Made by `make lock` from pyproject.toml; not to be edited.'; cat $$lock; } > $$lock.new && mv $$lock.new $$lock; \
	done

clean: ## remove what can be made again, but never the state in var/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# --- the environment: one stamp per lock, made last, so that an interrupted install is done again -------------------

.venv: $(RUNTIME)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) on PATH; install Python 3.11 or newer." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); flower needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12." >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module; install it (Debian: apt-get install python3-venv)." >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV)

# $(call install,LOCK): uv is quicker but does not read pip's configuration, hence the second try.
define install
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing $(1)" >&2
	@{ command -v uv >/dev/null && uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) 2>/dev/null; } \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@touch $@
endef

$(RUNTIME): requirements.lock | $(BIN)/python
	$(call install,requirements.lock)

$(DEV): requirements-dev.lock | $(BIN)/python
	$(call install,requirements-dev.lock)

$(MYSQL): requirements-mysql.lock | $(BIN)/python
	$(call install,requirements-mysql.lock)
