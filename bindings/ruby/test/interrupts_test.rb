# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "support"

# What a signal handler raises may come between any two lines of the supervisor.
class InterruptsTest < Support::Case
  class Raised < StandardError; end

  # The library repeats a request for a fork that is not answered only after 10 s.
  SOON = 8.0

  # Raises at the nth line of the pool that runs in this process, as a handler would. Returns whether it has.
  def raising_at(number)
    count = 0
    own = Process.pid
    trace = TracePoint.new(:line) do |point|
      next unless point.path.end_with?("libprefork/pool.rb") && Process.pid == own

      raise Raised if (count += 1) == number
    end
    trace.enable { yield }
    count >= number
  end

  def test_no_request_for_a_worker_is_lost_wherever_a_handler_raises
    (1..).each do |number|
      types = []
      has_raised = false
      with_pool(workers: 2, restart_policy: :never) do |pool|
        began = Support.now
        has_raised = raising_at(number) { types << pool.next_event.type until types.count(:started) == 2 }
      rescue Raised
        has_raised = true
        types << pool.next_event(SOON)&.type while pool.counter(:started) < 2 && Support.now - began < SOON
        assert_equal 2, pool.counter(:started), "line #{number}: #{types}"
      end
      break unless has_raised
      raise "too many lines" if number > 500
    end
  end

  def test_a_hook_of_fork_that_raises_is_a_start_that_failed
    program = run_program(<<~RUBY)
      module Hook
        def _fork
          pid = super
          $forks = $forks.to_i + 1
          raise "hook in \#{pid.zero? ? 'child' : 'supervisor'}" if $forks == (pid.zero? ? 2 : 1)

          pid
        end
      end
      Process.singleton_class.prepend(Hook)
      pool = Prefork::Pool.new(workers: 1, signals: :none, max_restarts: 1).start { |task| sleep }
      begin
        until pool.counter(:started) == 2
          event = pool.next_event(5)
          puts "event \#{event.type} \#{event.exit_code}" if event
        end
      rescue RuntimeError => e
        puts "error \#{e.message}"
        retry
      end
      pool.stop
      pool.each { |event| puts "event \#{event.type} \#{event.exit_code}" }
      begin
        puts "left \#{Process.wait2}"
      rescue Errno::ECHILD
        puts "nothing left"
      end
    RUBY
    assert_ended program, 0
    assert_equal ["error hook in supervisor"], program.lines("error")
    assert_equal ["starting", "start_failed", "started", "exited 1", "started", "stopping", "exited", "done"],
                 program.lines("event").map { |line| line.delete_prefix("event ").strip }
    assert_equal ["nothing left"], program.lines("nothing")
  end

  def test_a_system_call_that_fails_in_a_hook_of_fork_leaves_nothing_behind
    program = run_program(<<~RUBY)
      module Hook
        def _fork
          pid = super
          raise Errno::ECONNREFUSED, "hook" if $side == (pid.zero? ? :child : :supervisor)

          pid
        end
      end
      Process.singleton_class.prepend(Hook)
      supervisor = Process.pid
      at_exit { puts "exit of the child" if Process.pid != supervisor }
      %i[child supervisor].each do |side|
        $side = side
        pool = Prefork::Pool.new(workers: 1, signals: :none, max_restarts: 1)
        pool.on_event { |event| puts "event \#{event.type} \#{event.exit_code}" if event.type == :exited }
        begin
          pool.run { |task| sleep }
        rescue SystemCallError, Prefork::Error => e
          puts "error \#{side} \#{e.class}"
        ensure
          puts "ensure of the child" if Process.pid != supervisor
        end
      end
      begin
        puts "left \#{Process.wait2}"
      rescue Errno::ECHILD
        puts "nothing left"
      end
    RUBY
    assert_ended program, 0
    assert_equal ["event exited 1", "event exited 1", "error child Prefork::GaveUpError",
                  "error supervisor Errno::ECONNREFUSED", "nothing left"], program.lines
  end
end
