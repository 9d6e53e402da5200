# A real systemd, as process 1 of namespaces of its own: make systemd. SYSTEMD_SUITE= chooses the
# release of Debian that it comes from.
#
# SPDX-License-Identifier: MIT

TRUST += systemd
SYSTEMD_SUITE = trixie
SYSTEMD_SERVICE = $(BUILD)/systemd/service

help::
	@echo 'make systemd      services with the library under a real systemd; SYSTEMD_SUITE='

$(SYSTEMD_SERVICE): tests/systemd/service.c $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_c) $(dependencies) -o $@ $< $(call link_library,..)

-include $(SYSTEMD_SERVICE).d

.PHONY: systemd-run
systemd:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh systemd
	@$(MAKE) --no-print-directory systemd-run

# What this machine lacks is no failure, and nothing passed either.
systemd-run: all $(SYSTEMD_SERVICE) $(BUILD)/tests/programs/load
	+@$(SCRIPT_ENV) MAKE='$(MAKE)' TEST='$(TEST)' tests/systemd/run.sh '$(SYSTEMD_SUITE)' || \
		{ test $$? -eq 77 && echo '0 passed, 0 failed'; }
