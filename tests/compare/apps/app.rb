# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# What the applications of the peers in Ruby do in a supervisor and in a worker, and their answer.
module App
  module_function

  def begin_worker
    exit 1 unless ENV.fetch("FAIL", "").empty?
    sleep Integer(ENV.fetch("START_MS", "0")) / 1000.0
  end

  def begin_supervisor
    @held = "x" * (Integer(ENV.fetch("BALLAST_MIB", "0")) << 20)
    path = ENV.fetch("FOREIGN", "")
    return if path.empty?

    pid = spawn("sleep 0.1; exit 7")
    Thread.new { await_foreign(pid, path) }
  end

  def await_foreign(pid, path)
    sleep 1
    status = begin
      Process.wait2(pid).last.exitstatus
    rescue SystemCallError => error
      error.message
    end
    File.write(path, "#{status}\n")
  end

  def call(_env)
    body = "hello from pid #{Process.pid}\n"
    [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
  end
end
