# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "support"

# What is particular to Ruby: its fork, its threads, its signals, its loops.
class RuntimeTest < Support::Case
  def test_the_result_of_the_block_is_ignored_and_exit_is_the_status
    work = lambda do |task|
      case task
      when 0 then 7
      when 1 then exit 7
      when 2 then exit! 8
      when 3 then abort
      end
    end
    with_pool(work, workers: 4, restart_policy: :never) do |pool|
      exits = pool.select { |event| event.type == :exited }.to_h { |event| [event.task_id, event.exit_code] }
      assert_equal({ 0 => 0, 1 => 7, 2 => 8, 3 => 1 }, exits)
    end
  end

  def test_break_and_return_end_a_worker
    program = run_program(<<~RUBY)
      def supervise(pool)
        pool.run { |task| task.zero? ? (return) : break }
      ensure
        puts "ensure \#{Prefork.task_id.inspect}"
      end
      pool = Prefork::Pool.new(workers: 2, restart_policy: :never)
      pool.on_event { |event| puts "exit \#{event.exit_code.class}" if event.type == :exited }
      supervise(pool)
      puts "after \#{Prefork.task_id.inspect}"
    RUBY
    assert_ended program, 0
    assert_equal ["ensure nil"], program.lines("ensure")
    assert_equal ["after nil"], program.lines("after")
    assert_equal ["exit Integer"] * 2, program.lines("exit")
  end

  # The limit counts the processes of a user, and does not hold for root. Ruby would wait for a process inside of
  # fork, where it does not notice that a worker has ended, and no signal.
  def test_a_fork_that_the_system_refuses_is_reported_and_tried_again
    program = run_program(<<~RUBY)
      Process::Sys.setuid(50_000 + Process.pid % 10_000) if Process.uid.zero?
      running = Dir.glob("/proc/[0-9]*/task/*").count { |path| (File.stat(path).uid rescue nil) == Process.uid }
      limits = Process.getrlimit(:NPROC)
      Process.setrlimit(:NPROC, running + 1, limits[1])
      pool = Prefork::Pool.new(workers: 2, signals: :none)
      pool.on_event do |event|
        puts "\#{event.type} \#{event.error.class}"
        Process.setrlimit(:NPROC, *limits) if event.type == :start_failed
        pool.stop if event.type == :started && event.task_id == 1
      end
      pool.run { sleep }
    RUBY
    assert_ended program, 0
    assert_includes program.lines("start_failed"), "start_failed Errno::EAGAIN"
  end

  def test_hooks_of_fork_run_and_random_numbers_differ_and_output_is_written_once
    program = run_program(<<~RUBY)
      hook = Module.new do
        def _fork
          pid = super
          $hooked = true if pid.zero?
          pid
        end
      end
      Process.singleton_class.prepend(hook)
      $stdout.sync = false
      rand
      print "once\\n"
      Prefork::Pool.new(workers: 2).run { puts "worker \#{$hooked} \#{rand}" }
    RUBY
    assert_ended program, 0
    assert_equal 1, program.lines("once").size
    assert_equal 2, program.lines("worker true").uniq.size
  end

  def test_at_exit_handlers_run_as_after_any_fork
    program = run_program(<<~RUBY)
      at_exit { puts "inherited \#{Prefork.task_id.inspect}" }
      Prefork::Pool.new(workers: 1).run { at_exit { puts "own" } }
    RUBY
    assert_ended program, 0
    assert_equal ["inherited 0", "inherited nil"], program.lines("inherited").sort
    assert_equal ["own"], program.lines("own")
  end

  def test_workers_beside_a_busy_thread_and_a_mutex_that_it_holds
    program = run_program(<<~RUBY)
      mutex = Mutex.new
      busy = Thread.new { mutex.synchronize { loop { Array.new(100) { "text" } } } }
      Thread.pass until mutex.locked?
      pool = Prefork::Pool.new(workers: 8)
      pool.run { |task| GC.start; mutex.synchronize { puts "worker \#{task} \#{Thread.list.size}" } }
      puts "busy \#{busy.alive?}"
    RUBY
    assert_ended program, 0
    assert_equal (0..7).map { |task| "worker #{task} 1" }, program.lines("worker").sort
    assert_equal ["busy true"], program.lines("busy")
  end

  def test_threads_are_refused_if_asked_for
    thread = Thread.new { sleep }
    pool = Prefork::Pool.new(workers: 1, allow_threads: false)
    error = assert_raises(Prefork::ThreadsError) { pool.run {} }
    assert_match(/other threads run.*#{Regexp.escape(thread.inspect[/runtime_test.rb:\d+/])}.*allow_threads/, error.message)
    thread.kill.join

    program = run_program(<<~RUBY)
      pool = Prefork::Pool.new(workers: 1, allow_threads: false)
      thread = nil
      pool.on_event do |event|
        case event.type
        when :started
          pool.stop if event.reason == :restart
          thread = Thread.new { sleep }
          pool.signal("KILL", 0)
        when :start_failed
          puts "failed \#{event.error.class}"
          thread.kill.join
        end
      end
      pool.run { sleep }
    RUBY
    assert_ended program, 0
    assert_equal ["failed Prefork::ThreadsError"], program.lines("failed")
  end

  def test_a_pool_in_a_thread_and_calls_of_another
    events = Queue.new
    pool = Prefork::Pool.new(workers: 1, signals: :none).on_event { |event| events << event.type }
    thread = Thread.new { pool.run { sleep } }
    nil until events.pop == :started
    pool.reload
    nil until events.pop == :reloaded
    pool.stop
    assert_same pool, thread.value
    assert pool.done?
  end

  def test_calls_of_other_threads_beside_the_end_are_answered_or_refused
    5.times do
      pool = Prefork::Pool.new(workers: 1, signals: :none).start {}
      callers = Array.new(2) do
        Thread.new do
          loop { pool.wake }
        rescue Errno::EINVAL => e
          e.message
        end
      end
      nil while pool.next_event
      pool.close
      assert_equal ["Invalid argument - the pool is closed"], callers.map(&:value).uniq
    end
  end

  def test_counters_stay_after_the_end
    pool = Prefork::Pool.new(workers: 2, signals: :none)
    pool.run {}
    assert_equal [2, 2, 0], pool.counters.values_at(:started, :exited, :alive)
    assert_equal 2, pool.counter(:started)
  end

  # ---- Signals ----------------------------------------------------------------------------

  def test_signals_control_the_pool
    program = run_program(<<~RUBY)
      pool = Prefork::Pool.new(workers: 1, ready_timeout: 60)
      pool.on_event { |event| puts "event \#{event.type} \#{event.worker_count}" }
      pool.run do |task|
        %w[USR1 USR2 WINCH].each { |name| trap(name) { puts "worker \#{name}" } }
        Prefork.ready
        sleep
      end
      puts "stopped \#{pool.stopped_by} \#{%w[HUP TERM USR1].map { |name| trap(name, 'DEFAULT') }}"
    RUBY
    program.wait_for("event ready")
    %w[USR1 USR2 WINCH].each { |name| program.signal(name) && program.wait_for("worker #{name}") }
    program.signal("HUP")
    program.wait_for("event reloaded")
    program.signal("TTIN")
    program.wait_for("event resized 2")
    program.signal("TTOU")
    program.wait_for("event resized 1")
    program.signal("TERM")
    assert_ended program, 0
    assert_equal ['stopped 15 ["DEFAULT", "DEFAULT", "DEFAULT"]'], program.lines("stopped")
    assert_empty program.lines("event signal_unavailable")
  end

  def test_a_signal_that_the_program_traps_is_left_to_it
    program = run_program(<<~RUBY)
      trap("HUP") { puts "own \#{Prefork.task_id.inspect}" }
      pool = Prefork::Pool.new(workers: 1, ready_timeout: 60)
      pool.on_event { |event| puts "event \#{event.type} \#{event.signal}" }
      pool.run { Prefork.ready; sleep }
    RUBY
    program.wait_for("event ready")
    assert_equal ["event signal_unavailable 1"], program.lines("event signal_unavailable")
    program.signal("HUP")
    assert_equal ["own nil"], program.wait_for("own")
    program.signal("TERM")
    assert_ended program, 0
  end

  def test_a_signal_with_the_default_action_of_the_system_controls_the_pool
    program = run_program(<<~RUBY)
      trap("TERM", "SYSTEM_DEFAULT")
      pool = Prefork::Pool.new(workers: 1)
      pool.run { puts "worker"; sleep }
      puts "stopped \#{pool.stopped_by} \#{trap('TERM', 'DEFAULT')}"
    RUBY
    program.wait_for("worker")
    program.signal("TERM")
    assert_ended program, 0
    assert_equal ["stopped 15 SYSTEM_DEFAULT"], program.lines("stopped")
  end

  def test_stop_only
    program = run_program(<<~RUBY)
      pool = Prefork::Pool.new(workers: 1, signals: :stop_only)
      pool.run { puts "worker"; sleep }
      puts "stopped \#{pool.stopped_by}"
    RUBY
    program.wait_for("worker")
    program.signal("HUP")
    assert_ended program, 0
    assert_equal ["stopped 1"], program.lines("stopped")
  end

  # Signals that come between a fork and the worker must not run handlers of the supervisor there.
  def test_a_worker_has_the_handlers_of_the_program_and_no_blocked_signals
    program = run_program(<<~RUBY)
      pool = Prefork::Pool.new(workers: 1)
      pool.run do
        mask = File.read("/proc/self/status")[/SigBlk:\\s*(\\h+)/, 1].to_i(16)
        puts "worker \#{mask} \#{%w[HUP INT QUIT TERM USR1 USR2].map { |name| trap(name, 'DEFAULT') }.uniq}"
      end
      puts "supervisor \#{File.read('/proc/self/status')[/SigBlk:\\s*(\\h+)/, 1].to_i(16)}"
    RUBY
    assert_ended program, 0
    assert_equal ["supervisor 0", 'worker 0 ["DEFAULT"]'], program.lines.sort
  end

  def test_signals_during_many_forks_are_neither_lost_nor_a_workers
    program = run_program(<<~RUBY)
      count = 0
      trap("USR1") { count += 1; puts "in a worker" if Prefork.task_id }
      puts "trapped"
      pool = Prefork::Pool.new(workers: 4, restart_policy: :always, max_restarts: 40, min_uptime: 1)
      # At the limit the others are stopped by TERM.
      pool.on_event { |event| puts "abnormal \#{event.message}" if event.type == :exited && [nil, 15].none?(event.signal) }
      begin
        pool.run { trap("USR1") { } }
      rescue Prefork::GaveUpError
        puts "signals \#{count}"
      end
    RUBY
    program.wait_for("trapped")
    until program.ended?
      program.signal("USR1")
      sleep 0.001
    end
    assert_ended program, 0
    assert_empty program.lines("abnormal") + program.lines("in a worker")
    assert_operator program.lines("signals")[0].split[1].to_i, :>, 0
  end

  def test_a_second_interrupt_while_workers_end_leaves_nobody
    program = run_program(<<~RUBY)
      pool = Prefork::Pool.new(workers: 1, signals: :none, ready_timeout: 60)
      pool.on_event { |event| puts event.type }
      begin
        pool.run { trap("TERM", "IGNORE"); trap("INT", "IGNORE"); Prefork.ready; sleep }
      rescue Interrupt
        puts "interrupted"
      end
    RUBY
    program.wait_for("ready")
    program.signal("INT")
    program.wait_for("stopping")
    program.signal("INT")
    assert_ended program, 0
    assert_equal ["interrupted"], program.lines("interrupted")
  end

  # ---- Loops, and what a worker may call --------------------------------------------------

  def test_a_loop_of_ones_own
    reader, writer = IO.pipe
    with_pool(workers: 1, ready_timeout: 0) do |pool|
      assert_nil pool.next_event(0) if IO.select([pool], nil, nil, 0).nil?
      seen = []
      writer.write("?")
      until seen.include?(:done)
        ready, = IO.select([pool, reader], nil, nil, Support::DEADLINE)
        reader.readpartial(1) && writer.write("?") && pool.stop if ready.include?(reader) && seen.include?(:started)
        while (event = pool.next_event(0))
          seen << event.type
        end
      end
      assert_equal %i[starting started stopping exited done], seen
      assert pool.done?
    end
  ensure
    [reader, writer].each(&:close)
  end

  def test_a_time_out_of_next_event
    with_pool(workers: 1) do |pool|
      events_until(pool, :started)
      began = Support.now
      assert_nil pool.next_event(0.05)
      assert_operator Support.now - began, :>=, 0.05
      refute pool.done?
    end
  end

  def test_where_the_library_itself_waits
    with_pool(proc {}, workers: 2, reap_orphans: :adopted) do |pool|
      assert_nil pool.next_event(0) if pool.counter(:started).positive?
      assert_equal({ starting: 1, started: 2, exited: 2, done: 1 }, pool.map(&:type).tally)
    end
  end

  def test_stop_descriptor_retirement_and_heartbeats
    work = lambda do |_task|
      trap("TERM", "IGNORE")
      exit 1 if Prefork.stopping? || Prefork.wait_for_stop(0.001)
      Prefork.ready
      Prefork.heartbeat
      Prefork.retire
      exit 5 if Prefork.wait_for_stop
    end
    with_pool(work, workers: 1, name: "name", ready_timeout: 60, heartbeat_timeout: 60, min_uptime: 0) do |pool|
      events = events_until(pool, :exited)
      assert_equal 5, events.last.exit_code
      assert_equal %i[start retire], events.select { |event| event.type == :started }.map(&:reason)
    end
  end

  def test_descriptors_by_name_and_unix_sockets
    Dir.mktmpdir do |directory|
      server = Prefork.bind_unix_socket(File.join(directory, "socket"), mode: 0o600)
      assert_kind_of UNIXServer, server
      reader, writer = IO.pipe
      work = lambda do |_task|
        Prefork.worker_io("pipe").syswrite([Prefork.worker_io(:server).class, Prefork.pool_name].join(" "))
        Prefork.worker_fd("other")
      rescue Errno::ENOENT
        exit 3
      end
      with_pool(work, workers: 1, name: "n", restart_policy: :never, fds: { "pipe" => writer, server: server }) do |pool|
        assert_equal 3, events_until(pool, :exited).last.exit_code
      end
      assert_equal "UNIXServer n", reader.readpartial(100)
      server.close
      [reader, writer].each(&:close)
    end
    assert_equal [], Prefork.listen_fds
  end

  def test_sockets_stay_open_until_they_are_closed
    port = Prefork.bind_sockets("127.0.0.1", 0).first.local_address.ip_port
    10.times { Array.new(1000) { "text" } && GC.start }
    TCPSocket.open("127.0.0.1", port, &:close)
    ObjectSpace.each_object(TCPServer).to_a.reject(&:closed?).each(&:close)
    assert_raises(Errno::ECONNREFUSED) { TCPSocket.new("127.0.0.1", port) }
    again, = Prefork.bind_sockets("127.0.0.1", 0)
    refute again.closed?
    again.close
  end

  def test_spares_that_are_forked_take_a_slot
    with_pool(workers: 1, spares: 1) do |pool|
      spare = events_until(pool, :spare_started).last
      assert_equal 1, pool.counter(:spares)
      pool.signal("KILL", 0)
      started = events_until(pool, :started).find { |event| event.reason == :restart }
      assert_equal [spare.pid, 0], [started.pid, started.task_id]
      events_until(pool, :spare_started) if pool.counter(:spares).zero?
      pool.spares = 0
      events_until(pool, :spare_exited)
    end
  end

  def test_die_of_signal
    program = run_program('at_exit { puts "no" }; trap("TERM") {}; puts "yes"; Prefork.die_of_signal("TERM")')
    assert_ended program, "TERM"
    assert_equal ["yes"], program.lines
  end
end
