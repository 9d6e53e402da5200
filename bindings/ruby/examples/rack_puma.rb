# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# A Rack application on Puma's server, with workers of libprefork instead of Puma's cluster.
#
#   PORT=8090 WORKERS=4 THREADS=5 ruby rack_puma.rb [CONFIG.RU]
#
# The supervisor loads the application once and opens the sockets. HUP replaces the workers one after the other, and
# loses no request; TERM stops the server.

require "libprefork"
require "puma"
require "puma/server"
require "rack"

# Before Puma's server stops, it accepts no more, and answers what still comes on the connections that it has: with
# "Connection: close", so that clients know.
class Drain
  GRACE_S = Float(ENV.fetch("GRACE_S", "0.3"))

  # A listening socket that seems to have no connection while the worker drains.
  class Listener < TCPServer
    attr_writer :drain

    def accept_nonblock(*arguments, **options)
      return super unless @drain.on?

      sleep(0.005)
      raise IO::EAGAINWaitReadable
    end
  end

  def initialize(app)
    @app = app
  end

  def on?
    @on
  end

  def start
    @on = true
    sleep(GRACE_S)
  end

  def call(env)
    response = @app.call(env)
    env["HTTP_CONNECTION"] = "close" if @on # from which Puma concludes what it answers
    response
  end
end

HELLO = lambda do |_env|
  body = "hello from pid #{Process.pid}, task #{Prefork.task_id}\n"
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
end

def serve(app, listeners)
  trap("TERM", "IGNORE") # the stop descriptor tells it
  drain = Drain.new(app)
  events = Puma::Events.respond_to?(:null) ? Puma::Events.null : Puma::Events.new
  server = Puma::Server.new(drain, events, min_threads: 1, max_threads: Integer(ENV.fetch("THREADS", "5")))
  listeners.each do |listener|
    mine = Drain::Listener.for_fd(listener.fileno).tap { |socket| socket.drain = drain }
    server.binder.inherit_tcp_listener("127.0.0.1", 0, mine)
  end
  server.run
  Prefork.ready
  Prefork.wait_for_stop
  drain.start
  server.stop(true)
end

app = ARGV.empty? ? HELLO : Array(Rack::Builder.parse_file(ARGV.first)).first
listeners = Prefork.bind_sockets("127.0.0.1", Integer(ENV.fetch("PORT", "8090")))
puts "rack_puma: listening on port #{listeners.first.local_address.ip_port}"
$stdout.flush

pool = Prefork::Pool.new(workers: Integer(ENV.fetch("WORKERS", "0")), name: "rack", ready_timeout: 30,
                         stop_timeout: 30)
pool.on_event { |event| warn("rack_puma: #{event.message}") if event.level <= 5 }
begin
  pool.run { |_task| serve(app, listeners) }
rescue Prefork::GaveUpError => e
  abort("rack_puma: #{e.message}")
end
Prefork.die_of_signal(pool.stopped_by) if pool.stopped_by
