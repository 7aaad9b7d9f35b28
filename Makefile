# make demo runs the platform, make test proves it; README.md says more.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

INSTALLED := .venv/installed

.PHONY: demo test bench fuzz monitor requirements released

## Serves the released models and asks them about a real radiograph; what was trained on drawings stands beside them as
## candidates. ONCE=1 stops after the answer.
demo: $(INSTALLED)
	dvc repro
	[ -e data/registry/keys/private.pem ] || thorax registry keygen
	thorax registry register thoracic pneumonia --released
	thorax registry promote thoracic
	thorax registry promote pneumonia
	thorax registry register baseline thoracic pneumonia
	python -m serving.commands.demo $(if $(ONCE),--once)

## Format, lint, types, import contracts, all tests.
test: $(INSTALLED)
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest

## Ratios measured side by side; writes bench/results.json.
bench: $(INSTALLED)
	python -m tests.bench

## Changed files of every kind through the readers, for ten minutes.
fuzz: $(INSTALLED)
	python -m tests.fuzz.reading

## Prometheus on a service that runs on this machine, at http://127.0.0.1:9090.
monitor:
	@command -v prometheus > /dev/null || { echo "Expected Prometheus, but found none. Run: apt-get install prometheus" >&2; exit 1; }
	prometheus --config.file=monitoring/prometheus/prometheus.yml --storage.tsdb.path=.thorax/prometheus \
		--web.listen-address=127.0.0.1:9090

## Trains the released models again, in a checkout whose data/raw holds what data/released/params.yaml names.
released: $(INSTALLED)
	cp data/released/params.yaml params.yaml
	dvc repro release@baseline release@pneumonia
	python -m pipelines.publish pneumonia
	dvc repro release@thoracic
	python -m pipelines.publish thoracic

## Pins anew what pyproject.toml asks for.
requirements: $(INSTALLED)
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url \
		pyproject.toml -o requirements.txt

$(INSTALLED): requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
