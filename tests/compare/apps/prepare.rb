# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# What is measured of bindings/ruby/examples/hello.rb: ruby -r prepare.rb hello.rb

require "libprefork"

# What a worker does before it is ready.
module Preparation
  def ready
    exit!(1) if ENV["FAIL"]
    sleep(Integer(ENV.fetch("START_MS", "0")) / 1000.0)
    super
  end
end
Prefork.singleton_class.prepend(Preparation)

HELD = "x" * (Integer(ENV.fetch("BALLAST_MIB", "0")) << 20)

if ENV["FOREIGN"]
  Thread.new do
    pid = spawn("sleep 0.1; exit 7")
    sleep(1)
    status = begin
      Process.wait(pid)
      $?.exitstatus.to_s
    rescue SystemCallError => e
      e.message
    end
    File.write(ENV.fetch("FOREIGN"), "#{status}\n")
  end
end
