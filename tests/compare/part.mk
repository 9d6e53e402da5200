# The library beside other supervisors, measured from outside; tests/compare/compare.py says how.
#
#   make compare                    all entries; writes tests/bench/results.json
#   make compare SAMPLE=1           two entries, one round, within a minute
#   make compare PEERS='c gunicorn' ROUNDS=1 FAIL_SECONDS=20 ROWS='replacement'
#   make charts                     the charts and tables of the README from the results
#
# SPDX-License-Identifier: MIT

.PHONY: compare compare-run charts
COMPARE_PREFIX = $(abspath $(BUILD))/compare/prefix

help::
	@echo 'make compare      compare supervisors: PEERS=, ROWS=, ROUNDS=, FAIL_SECONDS=, SAMPLE=1'
	@echo 'make charts       write the charts and tables from tests/bench/results.json'

compare:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh compare
	@$(MAKE) --no-print-directory compare-run

compare-run: all $(BUILD)/tests/programs/load
	@rm -rf '$(COMPARE_PREFIX)'
	@$(MAKE) --no-print-directory install prefix='$(COMPARE_PREFIX)' DESTDIR= \
		exec_prefix='$(COMPARE_PREFIX)' libdir='$(COMPARE_PREFIX)/lib' \
		includedir='$(COMPARE_PREFIX)/include' >/dev/null
	+@env -u MAKEFLAGS $(SCRIPT_ENV) PREFIX='$(COMPARE_PREFIX)' PYTHONDONTWRITEBYTECODE=1 \
		LOAD='$(abspath $(BUILD))/tests/programs/load' tests/compare/compare.py \
		$(if $(SAMPLE),--sample) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(FAIL_SECONDS),--fail-seconds $(FAIL_SECONDS)) $(if $(ROWS),--rows $(ROWS)) \
		$(if $(PEERS),--entries $(PEERS))

charts:
	@PYTHONDONTWRITEBYTECODE=1 tests/compare/chart.py
