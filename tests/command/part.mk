# Servers that do not use the library, run by the command prefork. SERVERS= chooses.
#
#   make servers               ten reloads of each; SAMPLE=1: two
#   make servers TRANSCRIPT=transcript.txt SERVERS='gunicorn haproxy'
#
# SPDX-License-Identifier: MIT

TRUST += servers
.PHONY: servers-run

help::
	@echo 'make servers      run servers by the command prefork: SERVERS=, TRANSCRIPT='

servers:
	@CC='$(CC)' CXX='$(CXX)' tests/support/deps.sh servers
	@$(MAKE) --no-print-directory servers-run

servers-run: all $(BUILD)/tests/programs/load $(BUILD)/tests/programs/foreign_server \
		$(BUILD)/examples/bind_sockets
	+@$(SCRIPT_ENV) RELOADS='$(if $(SAMPLE),2,10)' TRANSCRIPT='$(TRANSCRIPT)' \
		tests/command/servers.sh $(SERVERS)
