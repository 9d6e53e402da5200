# What a pool does where the system denies it a call, compared with tests/deny/table.txt.
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
	$(Q)if $(SCRIPT_ENV) tests/deny/deny_test.sh; then echo '1 passed, 0 failed'; else \
		status=$$?; [ $$status = 77 ] || echo '0 passed, 1 failed'; exit $$status; fi
