# Debian's packages of the last commit: built, looked at by lintian, installed in minimal roots,
# used there, and removed without a trace: make packages
#
# SPDX-License-Identifier: MIT

TRUST += packages
PACKAGES_SUITES = bookworm trixie

help::
	@echo 'make packages     the packages of Debian, in build/packages, and tests of them'

.PHONY: packages-run
packages:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh packages
	@$(MAKE) --no-print-directory packages-run

packages-run:
	@lib/packaging/deb.sh $(BUILD)/packages
	+@tests/packages/packages.sh $(BUILD)/packages $(PACKAGES_SUITES)
