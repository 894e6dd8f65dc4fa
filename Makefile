# `make help` lists the targets. Everything is installed into .venv beside this file and nowhere else.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
UV     := $(VENV)/bin/uv
# uv keeps downloads under HOME, which a container may have made read-only.
CACHE  := $(shell [ -w "$$HOME" ] || echo --no-cache)

DEMO_DATA := datasets/demo
DEMO_RUN  := runs/demo

RUNS := runs
PORT := 5000
# Tests of one file share what takes long to start, so they stay in one process. (Groups: pytest 9.2 hides them from xdist.)
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo mlflow test check golden format docs pins clean

help:  ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready  ## create .venv with everything that Carpus and its checks need

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Carpus needs Python 3.10 or later; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot make virtual environments here; on Debian and Ubuntu: apt install python3-venv"; exit 2; }
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.8
	@$(UV) pip install $(CACHE) --python $(PY) -r requirements.txt -r requirements-dev.txt
	@touch $@

demo: setup  ## render phantom hands, train, predict, score and report: the whole road in minutes
	$(PY) -m data.phantom --out $(DEMO_DATA) --train-patients 120 --test-patients 14 --size 512 --seed 1
	$(PY) train.py --config configs/demo.yaml
	$(PY) inference.py --run $(DEMO_RUN)
	$(PY) evaluate.py --prediction $(DEMO_RUN)/submission.csv --truth $(DEMO_DATA)/test \
	  --json $(DEMO_RUN)/score.json --gallery $(DEMO_RUN)/gallery
	$(PY) -m trainer.report --run $(DEMO_RUN)

mlflow: setup  ## look at the runs in runs/mlflow.db (RUNS=folder and PORT=number for others)
	@if [ -f "$(RUNS)/mlflow.db" ]; then \
	  echo "Open http://127.0.0.1:$(PORT) once it says that it runs. Ctrl-C ends it."; \
	  MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(VENV)/bin/mlflow ui --host 127.0.0.1 \
	    --port $(PORT) --workers 1 --backend-store-uri "sqlite:///$$(cd "$(RUNS)" && pwd)/mlflow.db"; \
	else \
	  echo "There is no $(RUNS)/mlflow.db yet: the first run makes it. With MLFLOW_TRACKING_URI set, open that server."; \
	fi

test: setup  ## run the tests
	$(PY) $(PYTEST)

check: setup  ## what CI runs: lint, format, types, tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy .
	$(PY) $(PYTEST)

golden: setup  ## train, resume, ensemble and score here and at COMMIT=…; names each result that differs
	$(PY) -m tests.golden --against $(or $(COMMIT),HEAD)

format: setup  ## sort imports and format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: setup  ## write docs/config.md anew from the schema
	$(PY) -m configs.reference

pins: setup  ## resolve requirements*.in to exact versions
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements.txt requirements.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-ray.txt requirements-ray.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-dev.txt requirements-dev.in

clean:  ## remove caches (never runs, data or .venv)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
