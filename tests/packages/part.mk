# Packages of the last commit: built, looked at by the lint of their kind, installed in minimal
# roots, used there, and removed without a trace: make packages
#
# SPDX-License-Identifier: MIT

TRUST += packages newcomer
PACKAGES = deb rpm alpine
PACKAGES_SUITES = bookworm trixie

help::
	@echo 'make packages     packages of Debian, RPM and Alpine, in build/packages, and tests of them;'
	@echo '                  PACKAGES=deb, rpm, alpine'
	@echo 'make newcomer     the commands of the README in minimal roots, timed; CHECK=1: make check too'

.PHONY: packages-run newcomer
packages:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh packages
	@$(MAKE) --no-print-directory packages-run

packages-run:
	+@PACKAGES_SUITES='$(PACKAGES_SUITES)' tests/packages/packages.sh $(BUILD)/packages $(PACKAGES)

newcomer:
	@tests/support/deps.sh packages
	@CHECK='$(CHECK)' tests/packages/newcomer.sh $(BUILD)/newcomer $(PACKAGES_SUITES)
