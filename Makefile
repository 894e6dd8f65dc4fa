# `make help` lists the targets. Everything is installed into .venv beside this file and nowhere else.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
UV     := $(VENV)/bin/uv
# uv keeps downloads under HOME, which a container may have made read-only.
# The site's packages, apart from those of Carpus.
SITE   := .venv-site
CACHE  := $(shell [ -w "$$HOME" ] || echo --no-cache)

OTHER_PYTHON = name another: make PYTHON=python3.12 $(MAKECMDGOALS)
refuse    = { echo "make setup: $(1)" >&2; exit 2; }
supported = $(1) -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))"
version   = $(1) -c "import sys; print('%d.%d.%d' % sys.version_info[:3])"

DEMO_DATA := datasets/demo
DEMO_RUN  := runs/demo

RENDERED  := datasets/rendered
PILLS     := datasets/pills
PILLS_RUN := runs/pills
U2NETP    := weights/u2netp.safetensors

# What make serve offers: the networks of the demos that have been trained, and without one that of others.
HANDS_ONNX := weights/hands.onnx
PILLS_ONNX := weights/pills.onnx
TRAINED    := $(if $(wildcard $(DEMO_RUN)/finished.json),$(HANDS_ONNX)) $(if $(wildcard $(PILLS_RUN)/finished.json),$(PILLS_ONNX))
SERVED     := $(or $(strip $(TRAINED)),weights/u2netp.onnx)

RUNS := runs
PORT := 5000
# Tests of one file share what takes long to start, so they stay in one process. (Groups: pytest 9.2 hides them from xdist.)
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo cutout serve mlflow test check golden format docs site pins clean

help:  ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready  ## create .venv with everything that Carpus and its checks need

# What cannot work is refused in one sentence with the way out. (An old .venv would keep its Python: venv leaves it in place.)
$(VENV)/.ready: requirements.txt requirements-dev.txt
	@[ ! -L $(VENV) ] || \
	  $(call refuse,$(VENV) is a link to $$(readlink $(VENV)) and requirements*.txt here are newer than what is installed \
	  there; run make setup there (or touch $@ if nothing has changed); or remove the link: rm $(VENV))
	@command -v $(PYTHON) >/dev/null || $(call refuse,there is no $(PYTHON) here; $(OTHER_PYTHON))
	@$(call supported,$(PYTHON)) || \
	  $(call refuse,$(PYTHON) is Python $$($(call version,$(PYTHON))) and Carpus needs 3.11 to 3.14; $(OTHER_PYTHON))
	@[ ! -x $(PY) ] || $(call supported,$(PY)) || \
	  $(call refuse,$(VENV) has Python $$($(call version,$(PY))) and Carpus needs 3.11 to 3.14; remove it: rm -rf $(VENV))
	@$(PYTHON) -c "import venv" 2>/dev/null || \
	  $(call refuse,$(PYTHON) has no module venv; on Debian and Ubuntu: apt install python3-venv; or $(OTHER_PYTHON))
	@$(PYTHON) -c "import ensurepip" 2>/dev/null || \
	  $(call refuse,$(PYTHON) has no pip for $(VENV); on Debian and Ubuntu: apt install python3-venv; or $(OTHER_PYTHON))
	@$(PYTHON) -m venv $(VENV) || $(call refuse,$(PYTHON) could not make $(VENV) (see above); remove it: rm -rf $(VENV))
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.8 || \
	  $(call refuse,pip could not install uv (see above); to use a mirror set PIP_INDEX_URL and UV_DEFAULT_INDEX)
	@$(UV) pip install $(CACHE) --python $(PY) -r requirements.txt -r requirements-dev.txt
	@touch $@

demo: setup  ## render phantom hands, train, predict, score and report: the whole road in minutes
	$(PY) -m data.phantom --out $(DEMO_DATA) --train-patients 120 --test-patients 14 --size 512 --seed 1
	$(PY) train.py --config configs/demo.yaml
	$(PY) inference.py --run $(DEMO_RUN)
	$(PY) evaluate.py --prediction $(DEMO_RUN)/submission.csv --truth $(DEMO_DATA)/test \
	  --json $(DEMO_RUN)/score.json --gallery $(DEMO_RUN)/gallery
	$(PY) -m trainer.report --run $(DEMO_RUN)

cutout: setup $(PILLS) $(U2NETP)  ## render pills, fine-tune a pretrained U-2-Net, cut out, compare: in minutes
	$(PY) train.py --config configs/pills.yaml
	$(PY) inference.py --run $(PILLS_RUN)
	$(PY) -m trainer.checkpoints --run $(PILLS_RUN) --images $(PILLS)/test/images --masks $(PILLS)/test/masks
	$(PY) evaluate.py --task foreground --prediction $(PILLS_RUN)/cutouts --truth $(PILLS)/test \
	  --json $(PILLS_RUN)/score.json --gallery $(PILLS_RUN)/gallery
	$(PY) -m trainer.report --run $(PILLS_RUN)

# There are annotations at the end of the rendering, and the two sides of the split at the end of all.
$(PILLS):
	rm -rf $(RENDERED)
	$(PY) -m data.cutout.pills --out $(RENDERED) --images 280 --size 320
	$(PY) -m data.cutout.coco --annotations $(RENDERED)/annotations.json --images $(RENDERED)/images \
	  --out $(RENDERED)/masks --categories pill
	$(PY) -m data.cutout.split --images $(RENDERED)/images --masks $(RENDERED)/masks --out $(PILLS) --ratio 0.7 --seed 42

$(U2NETP):
	$(PY) -m models.fetch u2netp --out $(dir $@)

serve: PORT := 8000
serve: setup $(SERVED)  ## serve the networks of the demos: a page and an API (PORT=number for another port)
	$(PY) serve.py $(addprefix --model ,$(SERVED)) --port $(PORT)

$(HANDS_ONNX): $(DEMO_RUN)/finished.json
	$(PY) export.py --run $(DEMO_RUN) --output $@

$(PILLS_ONNX): $(PILLS_RUN)/finished.json
	$(PY) export.py --run $(PILLS_RUN) --output $@

weights/u2netp.onnx: $(U2NETP)
	$(PY) export.py --run $(U2NETP) --output $@

mlflow: setup  ## look at the runs in runs/mlflow.db (RUNS=folder and PORT=number for others)
	@if [ -f "$(RUNS)/mlflow.db" ]; then \
	  echo "Open http://127.0.0.1:$(PORT) once it says that it runs. Ctrl-C ends it."; \
	  mlflow="$$(cd $(VENV)/bin && pwd)/mlflow"; cd "$(RUNS)" && \
	  MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false "$$mlflow" ui --host 127.0.0.1 \
	    --port $(PORT) --workers 1 --backend-store-uri sqlite:///mlflow.db; \
	else \
	  echo "There is no $(RUNS)/mlflow.db yet: the first run makes it. With MLFLOW_TRACKING_URI set, open that server."; \
	fi

test: setup  ## run the tests
	$(PY) $(PYTEST)

check: setup  ## what CI runs: lint, format, types, declared imports, tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy .
	@# The warnings say that lines with -c in requirements files are skipped.
	$(PY) -W ignore -m deptry .
	$(PY) $(PYTEST)

golden: setup  ## train, resume, ensemble and score here and at COMMIT=…; names each result that differs
	$(PY) -m tests.golden --against $(or $(COMMIT),HEAD)

format: setup  ## sort imports and format the code
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

docs: setup  ## write docs/config.md, docs/config.schema.json and docs/api.md anew
	$(PY) -m configs.reference
	$(PY) -m tests.api

site: $(SITE)/.ready  ## build the documentation as a site in both languages: open site/index.html
	@# Without --quiet, which hides warnings from strict too.
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build

$(SITE)/.ready: requirements-docs.txt | setup
	@$(UV) venv --quiet --allow-existing --python $(PY) $(SITE)
	@$(UV) pip install --quiet $(CACHE) --python $(SITE)/bin/python -r requirements-docs.txt
	@touch $@

pins: setup  ## resolve requirements*.in to exact versions
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements.txt requirements.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-serve.txt -c requirements.txt requirements-serve.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-ray.txt requirements-ray.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-dicom.txt requirements-dicom.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-tensorboard.txt requirements-tensorboard.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-wandb.txt requirements-wandb.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-dev.txt requirements-dev.in
	$(UV) pip compile -q --universal --python-version 3.11 --no-header --no-annotate -o requirements-docs.txt requirements-docs.in

clean:  ## remove caches (never runs, data or .venv)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
