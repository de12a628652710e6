# make repro: environment and pipeline.  make test: environment and all tests.  Each does all the set-up it needs.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: repro test unit ui track lint results

repro: .venv/installed
	dvc repro

test: .venv/installed
	python -m pytest -q -m "not slow" -n auto --dist loadfile --durations=5
	python -m pytest -q -m slow -n auto --dist loadfile --durations=12

unit: .venv/installed
	python -m pytest -q -m "not slow" -n auto --dist loadfile

ui: track
	mlflow ui --backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db} --port $${PORT:-5000}

track: .venv/installed
	python -m stages.track models metrics data/predictions data/cleaned_data.csv data/tracked.json

lint: .venv/installed
	ruff check . && ruff format --check .

# dvc repro on whatever params.yaml names, measured; then the README's table
results: .venv/installed
	python -m docs.results.measure && python -m docs.results.table

# Hashes are checked; byte-compiling in parallel afterwards is quicker than pip's own, and start-up needs it.
.venv/installed: requirements.lock
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 13), f"Python 3.11 or 3.12 is needed, this is {sys.version}; set PYTHON="'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-compile -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation --no-compile -e .
	$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
	touch $@
