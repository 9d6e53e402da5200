# What a pool does where the system denies it a call, compared with tests/deny/table.txt. SAVE=1
# accepts new results.
#
# SPDX-License-Identifier: MIT

TRUST += deny
.PHONY: deny-run

help::
	@echo 'make deny         deny the library each system call in turn, and compare the results'

deny:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh deny
	@$(MAKE) --no-print-directory deny-run

deny-run: all $(BUILD)/tests/programs/deny
	@$(SCRIPT_ENV) DENY_ALL=1 SAVE='$(SAVE)' tests/support/run.sh tests/deny/deny_test.sh \
		tests/deny/calls_test.sh
