# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The configuration of unicorn.
require_relative "app"

listen "127.0.0.1:#{ENV.fetch('PORT')}"
worker_processes Integer(ENV.fetch("WORKERS"))
preload_app true
begun = false

before_fork do |_server, _worker|
  App.begin_supervisor unless begun
  begun = true
end

after_fork { |_server, _worker| App.begin_worker }
