# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require "libprefork"

# Of a run that is interrupted no program is left. In workers, which run it too, there is nothing to do.
runner = Process.pid
at_exit { Support::Program.living.dup.each(&:close) if Process.pid == runner }

require "minitest/autorun"
require "rbconfig"
require "fileutils"
require "tmpdir"

# Programs that are run, and conditions that are waited for.
module Support
  DEADLINE = 60.0

  def self.now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # Waits for what is true in the end, and returns it.
  def self.wait_until(what)
    deadline = now + DEADLINE
    loop do
      value = yield
      return value if value
      raise "waited in vain for #{what}" if now > deadline

      sleep 0.005
    end
  end

  # A Ruby program in a session of its own, whose output is in files.
  class Program
    @living = []

    class << self
      attr_reader :living
    end

    attr_reader :pid

    def initialize(code, *arguments, env: {})
      @files = [appended_file, appended_file]
      code = ["-e", "require 'libprefork'; $stdout.sync = true\n#{code}"] if code.is_a?(String)
      @pid = Process.spawn(env, RbConfig.ruby, "-W", *code, *arguments.map(&:to_s), in: File::NULL,
                                                                                    out: @files[0].fileno,
                                                                                    err: @files[1].fileno, pgroup: true)
      Program.living << self
    end

    def out
      text(@files[0])
    end

    def err
      text(@files[1])
    end

    # The whole lines of the output that begin so.
    def lines(start = "")
      out.lines.select { |line| line.end_with?("\n") && line.start_with?(start) }.map(&:chomp)
    end

    def wait_for(start, count = 1)
      Support.wait_until("#{count} lines #{start.inspect}") do
        found = lines(start)
        raise "ended: #{@status.inspect}\n#{out}#{err}" if found.size < count && ended?

        found if found.size >= count
      end
    end

    def signal(signal)
      Process.kill(signal, @pid)
    end

    def ended?
      @status ||= Process.wait2(@pid, Process::WNOHANG)&.last
    end

    # Waits for its end, and for that of everybody that it started.
    def finish
      Support.wait_until("the end of the program") { ended? }
      Support.wait_until("the end of all processes") { group_is_gone? }
      @status
    end

    def close
      Program.living.delete(self)
      Process.kill("KILL", -@pid) unless group_is_gone?
      Process.wait(@pid) unless @status
      @files.each(&:close)
    end

    private

    def group_is_gone?
      Process.kill(0, -@pid)
      false
    rescue Errno::ESRCH
      true
    end

    def appended_file
      path = File.join(Dir.tmpdir, "prefork-ruby-#{Process.pid}-#{rand(2**64)}")
      file = File.open(path, "a+")
      File.unlink(path)
      file
    end

    # Its position is shared with the program.
    def text(file)
      File.read("/proc/self/fd/#{file.fileno}")
    end
  end

  # A test that leaves neither descriptors nor children.
  class Case < Minitest::Test
    def setup
      @programs = []
      @before = descriptors
    end

    def teardown
      @programs.each(&:close)
      assert_raises(Errno::ECHILD, "a child is left") { Process.wait(-1, Process::WNOHANG) }
      assert_equal @before, descriptors, "a descriptor is left"
    end

    def run_program(...)
      @programs << Program.new(...)
      @programs.last
    end

    # Pools are closed, and their workers killed, whatever happens.
    def with_pool(work = method(:stay), **settings)
      pool = Prefork::Pool.new(signals: :none, **settings)
      pool.start(&work)
      yield pool
    ensure
      pool&.close
    end

    def stay(_task = nil)
      sleep
    end

    # Events until so many of a type have come.
    def events_until(pool, type, count = 1)
      events = []
      while events.count { |event| event.type == type } < count
        event = pool.next_event(DEADLINE)
        refute_nil event, "no #{type}"
        events << event
      end
      events
    end

    def assert_ended(program, expected)
      status = program.finish
      ended = status.signaled? ? Signal.signame(status.termsig) : status.exitstatus
      assert_equal expected, ended, program.out + program.err
    end

    # Descriptors that are forgotten by a collection are not left.
    def descriptors
      GC.start
      Dir.children("/proc/self/fd").to_h do |fd|
        [fd, File.readlink("/proc/self/fd/#{fd}")]
      rescue Errno::ENOENT
        [fd, nil]
      end.compact
    end
  end
end
