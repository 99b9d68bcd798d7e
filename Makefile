# run and test are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
BENCH_VENV := build/bench-venv
LOCK := deploy/python

# What the demonstration keeps lies in the checkout; `make clean` leaves it.
export IOC_STATE_DIR ?= $(CURDIR)/.ioc
SCENARIO ?= can-tho-spring-tide
MINUTES ?= 30

.PHONY: help install run test check lint unit integration browser fuzz chaos load bench bench-shape bench-wall soak-wall tools lock broker-sums clean
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14

install: $(VENV)/.run ## Put the program at .venv/bin/ioc

run: install ## Run everything on this machine with a recorded day; Ctrl-C ends it
	@exec $(VENV)/bin/ioc up --scenario $(SCENARIO)

test: $(VENV)/.dev tools ## Run all tests, those on a real broker and in a real browser too
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pytest tests/unit -n 2 --dist worksteal $(PYTEST_ARGS)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pytest tests/integration tests/browser tests/load tests/chaos $(PYTEST_ARGS)

check: lint test ## What must hold before a commit: style, format, types and all tests

lint: $(VENV)/.dev ## Style, format and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

unit: $(VENV)/.dev ## Tests that need no broker
	$(PY) -m pytest tests/unit -n 2 --dist worksteal -m "not long" $(PYTEST_ARGS)

integration: $(VENV)/.dev ## Tests on a real broker
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pytest tests/integration $(PYTEST_ARGS)

browser: $(VENV)/.dev tools ## Tests in a real browser
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pytest tests/browser $(PYTEST_ARGS)

fuzz: $(VENV)/.fuzz ## Harmful inputs for all that reads what others write: a million, or FUZZ_ARGS="--inputs N"
	@$(PY) -m tests.fuzz $(FUZZ_ARGS)

chaos: $(VENV)/.dev ## Kill, pause and cut off processes and brokers at random for about 40 minutes; CHAOS_ARGS=--help
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m tests.chaos $(CHAOS_ARGS)

load: $(VENV)/.dev ## What rate one worker of each kind sustains, and five minutes of twice as much; LOAD_ARGS=--help
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m tests.load $(LOAD_ARGS)

bench: $(BENCH_VENV)/.bench ## The product beside Faust, Quix Streams, Bytewax and plain aiokafka, on a real broker
	@$(BENCH_VENV)/bin/python -m tests.bench.stream $(BENCH_ARGS)

bench-shape: $(BENCH_VENV)/.bench ## Only the product's cost against partitions, processes, sources and provinces
	@$(BENCH_VENV)/bin/python -m tests.bench.stream --parts shape $(BENCH_ARGS)

bench-wall: $(VENV)/.dev tools ## The wall with 10,000 sources in Chromium, beside folium's Realtime plugin
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m tests.bench.wall $(BENCH_ARGS)

soak-wall: $(VENV)/.dev tools ## Whether the memory of the wall in Chromium grows in MINUTES (30)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m tests.bench.soak --minutes $(MINUTES) $(SOAK_ARGS)

# Chromium and promtool: installed where that is possible, otherwise said.
tools: $(VENV)/.dev
	@tests/tools.sh $(VENV)/bin

$(VENV)/.run: $(LOCK)/run.txt pyproject.toml
	@$(LOCK)/venv.sh $(VENV)
	@echo "installing the locked packages"
	@$(PY) -m pip install --quiet --require-hashes -r $(LOCK)/run.txt
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(LOCK)/dev.txt $(VENV)/.run
	@echo "installing what the tests need"
	@$(PY) -m pip install --quiet --require-hashes -r $(LOCK)/dev.txt
	@touch $@

# Of its own: it has no package for the newest Python.
$(VENV)/.fuzz: $(LOCK)/fuzz.txt $(VENV)/.dev
	@echo "installing the fuzzer"
	@$(PY) -m pip install --quiet --require-hashes -r $(LOCK)/fuzz.txt
	@touch $@

# Of its own: Quix Streams asks for an older pydantic than the program has.
$(BENCH_VENV)/.bench: $(LOCK)/bench.txt pyproject.toml
	@$(LOCK)/venv.sh $(BENCH_VENV)
	@echo "installing what the comparison needs"
	@$(BENCH_VENV)/bin/python -m pip install --quiet --require-hashes -r $(LOCK)/bench.txt
	@$(BENCH_VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

COMPILE := $(VENV)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header

lock: $(VENV)/.dev ## Write the locks anew (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) --build-deps-for editable pyproject.toml -o $(LOCK)/run.txt
	$(COMPILE) $(UPGRADE) --constraint $(LOCK)/run.txt --extra dev pyproject.toml -o $(LOCK)/dev.txt
	$(COMPILE) $(UPGRADE) --constraint $(LOCK)/dev.txt --extra fuzz pyproject.toml -o $(LOCK)/fuzz.txt
	@cp $(LOCK)/run.txt $(LOCK)/bench.txt
	$(COMPILE) $(UPGRADE) -P pydantic -P pydantic-core -P pydantic-settings --build-deps-for editable --extra bench \
		pyproject.toml -o $(LOCK)/bench.txt

broker-sums: ## Write the SHA-256 of the broker's files anew, after a change of deploy/kafka/pom.xml
	@jars=$$(mktemp -d) && mvn --batch-mode --quiet --file deploy/kafka/pom.xml \
		dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$$jars" && \
		(cd "$$jars" && sha256sum *.jar) > deploy/kafka/artifacts.sha256; rm -r "$$jars"

clean: ## Remove what can be made again (the state in .ioc stays)
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
