# Everything that a person types. Each target makes the environment that it needs.
.DEFAULT_GOAL := help
.PHONY: help demo run test security fuzz mutants model lint check lock sbom audit storm openapi rights messages screenshots bench clean
MAKEFLAGS += --no-print-directory
PYTHON_ENV := .venv/bin/python

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

demo: .venv/installed  ## the whole product with four hosts and a service on them; Ctrl-C ends it (PORT=…)
	@exec $(PYTHON_ENV) -m demo

run: .venv/installed  ## web, worker and (without BROKER_URL) a broker, set up by the environment's variables
	@exec $(PYTHON_ENV) -m demo.run

test: .venv/installed-dev  ## all tests, on SQLite and on PostgreSQL; installs the system packages that they need
	@scripts/test-packages
	@scripts/test

security: .venv/installed-dev  ## attacks a production-like instance, and prints what was tried and what came of it
	@scripts/test-packages
	@$(PYTHON_ENV) -m pytest -q tests/attacks

fuzz: .venv/installed-dev  ## FUZZ_ARCHIVES (1000000) bent archives: what is written of them is what every tar reads
	@scripts/test-packages
	@FUZZ_ARCHIVES=$${FUZZ_ARCHIVES:-1000000} $(PYTHON_ENV) -m pytest -q -s tests/microservice/packages/test_fuzz.py

mutants: .venv/installed-dev  ## takes each protection out, one by one: a test must fail
	@scripts/test-packages
	@scripts/mutants

model:  ## checks the model of an operation (docs/model) with Spin
	@scripts/check-model

lint: .venv/installed-dev  ## formatters and linters of everything: Python, layers, types, shell, templates, scripts
	@scripts/lint

check: .venv/installed-dev  ## the linters and the pure tests, in seconds: before each commit
	@scripts/check

lock:  ## writes requirements*.txt anew from requirements*.in: every package by version and hash (UPGRADE=1: newer ones)
	@scripts/lock

sbom: .venv-audit/installed  ## writes sbom.json: what the system is made of, as CycloneDX
	@scripts/audit sbom

audit: .venv-audit/installed  ## asks whether a package has a known vulnerability, where the data can be reached
	@scripts/audit vulnerabilities
rights: .venv/installed  ## writes docs/rights.md, who may do what, anew
	@DEBUG=1 $(PYTHON_ENV) manage.py rights_table > docs/rights.md.new && mv docs/rights.md.new docs/rights.md

openapi: .venv/installed  ## writes openapi.json, the API's description, anew
	@DEBUG=1 $(PYTHON_ENV) manage.py openapi > openapi.json.new && mv openapi.json.new openapi.json

messages: .venv/installed-dev  ## update the catalogues in locale/ and list the texts without a translation
	@scripts/test-packages
	@scripts/messages

screenshots: .venv/installed-dev  ## takes the pictures of README again, in both themes
	@scripts/test-packages
	@fc-list :lang=zh 2>/dev/null | grep -q . || scripts/system-packages fonts-wqy-microhei  # the choice of language
	@$(PYTHON_ENV) scripts/screenshots

storm: .venv/installed-dev  ## crash points and random faults for STORM_MINUTES (30), and their table
	@scripts/test-packages
	@scripts/storm

bench: .venv/installed-dev  ## what the product takes, beside the bare OpenSSH client and other tools
	@scripts/test-packages
	@bench/run

clean:  ## the environment and the caches; var/, the data, stays
	rm -rf .venv .venv-audit .pytest_cache .ruff_cache .mypy_cache .hypothesis

.venv/installed: requirements.txt scripts/environment
	@scripts/environment requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt scripts/environment
	@scripts/environment requirements-dev.txt
	@touch $@ .venv/installed

.venv-audit/installed: requirements-audit.txt
	@$${PYTHON:-python3} -m venv .venv-audit
	@.venv-audit/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@touch $@
