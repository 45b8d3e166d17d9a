# The commands for people. Each target creates the environment that it needs.
.DEFAULT_GOAL := help
.PHONY: help demo run test security fuzz mutants model lint check lock sbom audit storm openapi rights messages screenshots bench clean
MAKEFLAGS += --no-print-directory
PYTHON_ENV := .venv/bin/python

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/installed  ## run the whole product with four hosts and an example service; Ctrl-C ends it (PORT=…)
	@exec $(PYTHON_ENV) -m demo

run: .venv/installed  ## run web, worker and (without BROKER_URL) a broker, configured by environment variables
	@exec $(PYTHON_ENV) -m demo.run

test: .venv/installed-dev  ## run the tests on SQLite and PostgreSQL (TEST_ALL=1: the slow ones too); install the packages they need
	@scripts/test-packages
	@scripts/test

security: .venv/installed-dev  ## attack a production-like instance; print each attempt and its outcome
	@scripts/test-packages
	@$(PYTHON_ENV) -m pytest -q tests/attacks

fuzz: .venv/installed-dev  ## rewrite 1000000 (FUZZ_ARCHIVES) malformed archives: every tar must unpack them alike
	@scripts/test-packages
	@FUZZ_ARCHIVES=$${FUZZ_ARCHIVES:-1000000} $(PYTHON_ENV) -m pytest -q -s tests/microservice/packages/test_fuzz.py

mutants: .venv/installed-dev  ## remove each protection, one by one: a test must fail (MUTANTS=parts of names)
	@scripts/test-packages
	@scripts/mutants $(MUTANTS)

model:  ## check the model of an operation (docs/model) with Spin
	@scripts/check-model

lint: .venv/installed-dev  ## check formatting, Python, layers, types, shell, templates and page scripts
	@scripts/lint

check: .venv/installed-dev  ## run the linters and the pure tests, in seconds; use it before each commit
	@scripts/check

lock:  ## write requirements*.txt from requirements*.in, with versions and hashes (UPGRADE=1: newer versions)
	@scripts/lock

sbom: .venv-audit/installed  ## write sbom.json, the list of all packages, as CycloneDX
	@scripts/audit sbom

audit: .venv-audit/installed  ## look for known vulnerabilities in the packages, if the data can be reached
	@scripts/audit vulnerabilities

rights: .venv/installed  ## write docs/rights.md, who may do what
	@DEBUG=1 $(PYTHON_ENV) manage.py rights_table > docs/rights.md.new && mv docs/rights.md.new docs/rights.md

openapi: .venv/installed  ## write openapi.json, the API's description
	@DEBUG=1 $(PYTHON_ENV) manage.py openapi > openapi.json.new && mv openapi.json.new openapi.json

messages: .venv/installed-dev  ## update the catalogues in locale/ and list the texts without a translation
	@scripts/test-packages
	@scripts/messages

screenshots: .venv/installed-dev  ## take the pictures of the documentation again, in both themes
	@scripts/test-packages
	@fc-list :lang=zh 2>/dev/null | grep -q . || scripts/system-packages fonts-wqy-microhei  # the choice of language
	@$(PYTHON_ENV) scripts/screenshots

storm: .venv/installed-dev  ## run crash points and random faults for STORM_MINUTES (30), and print the results
	@scripts/test-packages
	@scripts/storm

bench: .venv/installed-dev  ## measure the product beside the OpenSSH client and other tools
	@scripts/test-packages
	@bench/run

clean:  ## remove the environments and the caches; var/, the data, stays
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
