# Other machines, another C library, other options of the compilers: MACHINE= chooses.
#
# SPDX-License-Identifier: MIT

TRUST += machines
MACHINE =

help::
	@echo 'make machines     build for other machines and with other options, run the core of the'
	@echo '                  suite there; MACHINE=musl, i686, aarch64, riscv64, s390x, x86-64'

machines:
	@tests/support/deps.sh $(if $(SAMPLE),platforms,machines)
	+@env -u MAKEFLAGS SAMPLE='$(SAMPLE)' V='$(V)' tests/machines/machines.sh $(MACHINE)
