# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The configuration of Puma. PRELOAD has the application loaded before workers are made.
require_relative "app"

bind "tcp://127.0.0.1:#{ENV.fetch('PORT')}"
workers Integer(ENV.fetch("WORKERS"))
threads 5, 5
preload_app! if ENV["PRELOAD"]
environment "production"

begun = false
before_fork do
  App.begin_supervisor unless begun
  begun = true
end

on_worker_boot { App.begin_worker }
