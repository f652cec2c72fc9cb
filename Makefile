# Two commands work on a fresh machine with Python 3.11 or newer and pip: `make learn` and `make test`.
# tools/bootstrap.py does the work; here is only which Python runs it.

.DEFAULT_GOAL := help
.PHONY: help learn test check lessons bench repoint clean

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
ARGS ?=
URL ?=

# The first of these that runs and is new enough; else the first that runs, which says what it lacks.
define BOOTSTRAP
fit=; runs=; \
for candidate in '$(PYTHON)' python3 python3.13 python3.12 python3.11 python; do \
  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 7))' >/dev/null 2>&1 || continue; \
  runs="$${runs:-$$candidate}"; \
  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
  fit="$$candidate"; break; \
done; \
test -n "$$runs" || { echo 'No Python that runs was found: install 3.11 or newer from https://www.python.org/downloads/ or your package manager, then run the same command again.' >&2; exit 1; }; \
exec "$${fit:-$$runs}" tools/bootstrap.py --constraints '$(CONSTRAINTS)'
endef

VENV := .venv/bin

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 16

learn:  ## open the course in JupyterLab (ARGS=--no-browser on a remote machine, ARGS="--port 9999")
	@$(BOOTSTRAP) learn $(ARGS)

test:  ## run every test (ARGS="-k words" for some of them)
	@$(BOOTSTRAP) test $(ARGS)

check:  ## lint, format, types, and whether the notebooks match their sources
	@$(BOOTSTRAP) setup --dev
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/python tools/build.py --check

lessons:  ## build notebooks/ and labs/ from lessons/
	@$(BOOTSTRAP) setup --dev
	@$(VENV)/python tools/build.py

bench:  ## measure this machine; the ratios are kept in .build/bench.json
	@$(BOOTSTRAP) setup
	@mkdir -p .build
	@$(VENV)/aiinfra bench --json .build/bench.json $(ARGS)

repoint:  ## move badges and set-up cells to a fork (URL=https://github.com/you/aiinfra)
	@test -n '$(URL)' || { echo 'Name the fork, as in: make repoint URL=https://github.com/you/aiinfra' >&2; exit 1; }
	@$(BOOTSTRAP) setup --dev
	@$(VENV)/python tools/build.py --repository '$(URL)'

clean:  ## remove .venv and everything built or cached; your progress and notebooks stay
	rm -rf .venv .build .jupyter .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
