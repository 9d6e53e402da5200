# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# A pre-forked HTTP server on TCPServer: the sockets first, then the workers that share them.
#
#   PORT=8090 WORKERS=4 ruby hello.rb
#
# GET / is answered with the pid and the task id of the worker. HUP replaces the workers one after the other, and
# loses no request; TERM stops the server.

require "libprefork"

# The connections of one worker.
class Server
  # That connections have for one more request, after the worker was asked to stop.
  GRACE_S = Float(ENV.fetch("GRACE_S", "1"))

  def initialize(task, listeners)
    @task = task
    @listeners = listeners
    @stop = Prefork.stop_io
    @buffers = {} # connection => what came of its next request
  end

  def run
    Prefork.ready
    serve(nil) until @stopping
    left = GRACE_S
    deadline = now + left
    until @buffers.empty? || left.zero?
      left = [deadline - now, 0].max # with 0 it looks once more
      serve(left)
    end
    @buffers.each_key(&:close)
  end

  private

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def serve(timeout)
    waiting = @stopping ? [] : [@stop, *@listeners]
    ready, = IO.select(waiting + @buffers.keys, nil, nil, timeout)
    ready&.each do |io|
      if io.equal?(@stop) then @stopping = true
      elsif @listeners.include?(io) then accept(io)
      else read(io)
      end
    end
  end

  def accept(listener)
    connection = listener.accept_nonblock(exception: false)
    @buffers[connection] = +"" unless connection == :wait_readable # another worker has accepted it
  end

  def read(connection)
    part = connection.read_nonblock(16_384, exception: false)
    return if part == :wait_readable
    return finish(connection) if part.nil?

    @buffers[connection] << part
    answer(connection) while @buffers[connection]&.include?("\r\n\r\n")
  rescue SystemCallError
    finish(connection)
  end

  def answer(connection)
    head = @buffers[connection].slice!(/\A.*?\r\n\r\n/m)
    closes = @stopping || head.match?(/^connection:\s*close/i) || head.match?(%r{\A[^\r]* HTTP/1\.0\r})
    found = head.match?(%r{\AGET /(\?\S*)? })
    body = found ? "hello from pid #{Process.pid}, task #{@task}\n" : "not found\n"
    connection.write("HTTP/1.1 #{found ? '200 OK' : '404 Not Found'}\r\nContent-Type: text/plain\r\n" \
                     "Content-Length: #{body.bytesize}\r\n#{"Connection: close\r\n" if closes}\r\n#{body}")
    finish(connection) if closes
  end

  def finish(connection)
    @buffers.delete(connection)
    connection.close
  end
end

listeners = Prefork.bind_sockets("127.0.0.1", Integer(ENV.fetch("PORT", "8090")))
puts "hello: listening on port #{listeners.first.local_address.ip_port}"
$stdout.flush

orphans = Process.pid == 1 ? :adopted : :none # in a container they are the children of this process
pool = Prefork::Pool.new(workers: Integer(ENV.fetch("WORKERS", "0")), name: "hello", ready_timeout: 10,
                         reap_orphans: orphans)
pool.on_event { |event| warn("hello: #{event.message}") if event.level <= 5 }
begin
  pool.run do |task|
    trap("TERM", "IGNORE") # the stop descriptor tells it
    Server.new(task, listeners).run
  end
rescue Prefork::GaveUpError => e
  abort("hello: #{e.message}")
end
Prefork.die_of_signal(pool.stopped_by) if pool.stopped_by # so that the status says what ended the server
