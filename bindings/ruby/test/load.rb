# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# A client that asks an HTTP server again and again, and counts what is not answered: load.rb PORT CONNECTIONS
# kept|new. TERM ends it. Does what tests/programs/load.c does, where that is not at hand.

require "socket"

port, count, way = ARGV
stop = false
trap("TERM") { stop = true }

# One connection at a time.
class Client
  attr_reader :answered, :lost, :refused

  def initialize(port, keeps)
    @port = port
    @keeps = keeps
    @answered = @lost = @refused = 0
  end

  def ask
    return unless connect

    @connection.write("GET / HTTP/1.1\r\nHost: load\r\n#{"Connection: close\r\n" unless @keeps}\r\n")
    head = @connection.gets("\r\n\r\n") or raise EOFError
    @connection.read(Integer(head[/^content-length: (\d+)/i, 1])).size
    raise EOFError unless head.include?(" 200 ")

    @answered += 1
    close if !@keeps || head.match?(/^connection: close/i)
  rescue EOFError, SystemCallError
    @lost += 1
    close
  end

  def close
    @connection&.close
    @connection = nil
  end

  private

  def connect
    @connection ||= TCPSocket.new("127.0.0.1", @port)
  rescue SystemCallError
    @refused += 1
    nil
  end
end

clients = Array.new(count.to_i) { Client.new(port.to_i, way == "kept") }
clients.map { |client| Thread.new { client.ask until stop } }.each(&:join)
clients.each(&:close)
puts "answered #{clients.sum(&:answered)} lost #{clients.sum(&:lost)} refused #{clients.sum(&:refused)} late 0"
