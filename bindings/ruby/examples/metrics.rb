# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# The numbers of a pool for Prometheus, in its text format, which needs no other gem.
#
#   METRICS_PORT=9100 WORKERS=4 ruby metrics.rb
#
# GET /metrics is answered by the supervisor, between the events of its pool. TERM stops it.

require "libprefork"
require "io/wait"

# The text of a pool's counters.
module Metrics
  GAUGES = %i[ready alive spares].freeze
  HELP = {
    started: "Workers that were started", exited: "Workers that have ended",
    abnormal: "Workers that have ended abnormally", restarted: "Workers started in place of one that ended",
    start_failed: "Starts that failed", unresponsive: "Workers killed because they did not respond",
    reloads: "Reloads that have begun", ready: "Workers that are ready now", alive: "Processes now",
    replace_failed: "Replacements that failed", spares: "Spares now"
  }.freeze

  def self.of(pool)
    pool.counters.map do |name, value|
      is_gauge = GAUGES.include?(name)
      metric = "prefork_workers_#{name}#{'_total' unless is_gauge}"
      "# HELP #{metric} #{HELP.fetch(name)}.\n# TYPE #{metric} #{is_gauge ? 'gauge' : 'counter'}\n#{metric} #{value}\n"
    end.join
  end

  def self.answer(listener, pool)
    connection = listener.accept
    connection.timeout = 1 if connection.respond_to?(:timeout=)
    connection.readpartial(4096) if connection.wait_readable(1)
    body = of(pool)
    connection.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n" \
                     "Content-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}")
  rescue IOError, SystemCallError
    nil # the client has gone
  ensure
    connection&.close
  end
end

listener = TCPServer.new("127.0.0.1", Integer(ENV.fetch("METRICS_PORT", "9100")))
puts "metrics: listening on port #{listener.local_address.ip_port}"
$stdout.flush

pool = Prefork::Pool.new(workers: Integer(ENV.fetch("WORKERS", "0")), name: "metrics")
pool.start { |_task| sleep }
until pool.done?
  ready, = IO.select([pool, listener])
  while (event = pool.next_event(0))
    warn("metrics: #{event.message}") if event.level <= 4
  end
  Metrics.answer(listener, pool) if ready.include?(listener)
end
