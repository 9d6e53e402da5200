# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "support"

# The scenarios that the bindings of all languages run: see bindings/README.md.
class ScenariosTest < Support::Case
  STAY = <<~RUBY
    pool = Prefork::Pool.new(workers: 3)
    pool.run { |task| puts "worker \#{task} \#{Process.pid}"; sleep }
    puts "stopped by \#{pool.stopped_by}"
    Prefork.die_of_signal(pool.stopped_by)
  RUBY

  def test_task_ids
    program = run_program(<<~RUBY)
      puts "before \#{Prefork.task_id.inspect}"
      Prefork::Pool.new(workers: 4).run do |task|
        Process.wait(fork { puts "child \#{Prefork.task_id}" })
        puts "worker \#{task} \#{Prefork.task_id}"
      end
      puts "after \#{Prefork.task_id.inspect}"
    RUBY
    assert_ended program, 0
    assert_equal ["before nil", "after nil"], [*program.lines("before"), *program.lines("after")]
    assert_equal (0..3).map { |n| "worker #{n} #{n}" }, program.lines("worker").sort
    assert_equal (0..3).map { |n| "child #{n}" }, program.lines("child").sort
  end

  def test_restart_with_the_same_id
    program = run_program(STAY)
    workers = program.wait_for("worker", 3).to_h { |line| line.split[1..].map(&:to_i) }
    Process.kill("KILL", workers[1])
    lines = program.wait_for("worker", 4)
    assert_match(/\Aworker 1 /, lines.last)
    assert_equal 4, lines.map { |line| line.split[2] }.uniq.size
    program.signal("TERM")
    assert_ended program, "TERM"
  end

  def test_clean_exit
    program = run_program(<<~RUBY)
      begin
        pool = Prefork::Pool.new(workers: 2).run { |task| puts "worker \#{task}" }
      ensure
        puts "ensure \#{Prefork.task_id.inspect}"
      end
      puts "returned \#{pool.done?} \#{pool.stopped_by.inspect}"
    RUBY
    assert_ended program, 0
    assert_equal ["returned true nil"], program.lines("returned")
    assert_equal ["ensure nil"], program.lines("ensure"), "that of the supervisor does not run in workers"
    assert_empty program.err
  end

  def test_limit_gives_up
    program = run_program(<<~RUBY)
      begin
        Prefork::Pool.new(workers: 2, max_restarts: 2).run do |task|
          puts "worker \#{task}"
          exit 7 if task.zero?
          sleep
        end
      rescue Prefork::GaveUpError => e
        puts "error \#{e.message}"
        puts "code \#{e.code} \#{e.last_failure}"
        begin
          Process.wait(-1, Process::WNOHANG)
        rescue Errno::ECHILD
          puts "nobody is left"
        end
        exit 5
      end
    RUBY
    assert_ended program, 5
    assert_match(/\Aerror .*restarts.*: child 0 \(pid \d+\) exited with status 7/, program.lines("error")[0])
    assert_match(/\Acode -4097 child 0 /, program.lines("code")[0])
    assert_equal ["nobody is left"], program.lines("nobody")
    assert_equal 3, program.lines("worker 0").size
  end

  %w[TERM QUIT INT].each do |signal|
    define_method(:"test_terminated_supervisor_leaves_nobody_#{signal}") do
      program = run_program(STAY)
      program.wait_for("worker", 3)
      program.signal(signal)
      assert_ended program, signal
      assert_equal ["stopped by #{Signal.list[signal]}"], program.lines("stopped")
    end
  end

  def test_terminated_supervisor_leaves_nobody_without_traps
    program = run_program(STAY.sub("workers: 3", "workers: 3, signals: :none"))
    program.wait_for("worker", 3)
    program.signal("TERM")
    assert_ended program, "TERM"
  end

  def test_killed_supervisor_leaves_nobody
    program = run_program(STAY)
    program.wait_for("worker", 3)
    program.signal("KILL")
    assert_ended program, "KILL"
  end

  def test_event_order_and_fields
    began = Support.now
    runs = []
    work = ->(task) { Process.kill("KILL", Process.pid) if task == 1 && runs.empty? }
    events = []
    with_pool(work, workers: 2, max_restarts: 1) do |pool|
      pool.each do |event|
        events << event
        runs << event if event.type == :exited && event.task_id == 1
      end
      assert_nil pool.next_event
    end
    types = events.map(&:type)
    assert_equal %i[starting started started], types.first(3)
    assert_equal [2, nil], events.first(2).map(&:worker_count)
    assert_equal %i[exited exited exited started], types[3...-1].sort
    assert_equal :done, types.last
    times = events.map(&:time)
    assert_equal times.sort, times
    assert_operator began, :<=, times.first
    assert_operator times.last, :<=, Support.now

    killed, normal = events.select { |event| event.type == :exited && event.task_id == 1 }
    assert_equal events.select { |event| event.type == :started && event.task_id == 1 }.map(&:pid),
                 [killed, normal].map(&:pid)
    assert_equal [9, nil, true, 4, 1, nil, false],
                 killed.to_h.values_at(:signal, :exit_code, :will_restart, :level, :restarts, :error, :core_dumped)
    assert_equal "child 1 (pid #{killed.pid}) killed by signal 9, restarting", killed.message
    assert_equal [nil, 0, false], normal.to_h.values_at(:signal, :exit_code, :will_restart)
    assert_operator normal.max_rss_kib, :>, 0
    assert_operator normal.user_time + normal.system_time, :>, 0
    assert_equal [nil, nil], [events[0].task_id, events[0].pid]
    assert_equal %i[start restart], events.select { |event| event.type == :started && event.task_id == 1 }.map(&:reason)
    assert_raises(FrozenError) { killed.pid = 0 }
    matched = case killed
              in { type: :exited, signal: Integer => signal } then signal
              end
    assert_equal 9, matched
  end

  def test_graceful_stop
    finish = lambda do |_task|
      trap("TERM") { exit 0 }
      Prefork.ready
      sleep
    end
    with_pool(finish, workers: 2, ready_timeout: 60) do |pool|
      events_until(pool, :ready, 2)
      pool.stop
      events = pool.to_a
      assert_equal %i[stopping exited exited done], events.map(&:type)
      assert_equal [0, 0], events[1, 2].map(&:exit_code)
      refute(events.any?(&:will_restart))
    end

    ignore = lambda do |_task|
      trap("TERM", "IGNORE")
      Prefork.ready
      sleep
    end
    with_pool(ignore, workers: 1, ready_timeout: 60, stop_timeout: 0.05) do |pool|
      events_until(pool, :ready)
      pool.stop
      assert_equal [[:stopping, nil], [:killed, nil], [:exited, 9], [:done, nil]],
                   pool.map { |event| [event.type, event.signal] }
    end
  end

  LOAD = <<~RUBY
    port, path = ARGV
    served = 0
    pids = []
    until File.exist?(path)
      TCPSocket.open("127.0.0.1", port.to_i) do |connection|
        connection.write("?")
        pid = connection.readpartial(16)
        pids |= [pid]
      end
      served += 1
      puts "first" if served == 1
    end
    puts "served \#{served} \#{pids.size}"
  RUBY

  # A worker that answers each connection with its pid, and finishes what it began.
  def answer_until_stopped(listener)
    trap("TERM", "IGNORE")
    stop = Prefork.stop_io
    Prefork.ready
    until IO.select([listener, stop])[0].include?(stop)
      connection = listener.accept_nonblock(exception: false)
      next if connection == :wait_readable

      connection.readpartial(16)
      connection.write(Process.pid.to_s)
      connection.close
    end
  end

  def test_rolling_reload
    Dir.mktmpdir do |directory|
      path = File.join(directory, "end")
      listener = TCPServer.new("127.0.0.1", 0)
      with_pool(->(_) { answer_until_stopped(listener) }, workers: 2, ready_timeout: 60) do |pool|
        before = events_until(pool, :ready, 2).select { |event| event.type == :ready }.map(&:pid)
        load = run_program(LOAD, listener.local_address.ip_port, path)
        load.wait_for("first")
        pool.reload
        events = events_until(pool, :reloaded)
        missing = 2 - events.count { |event| event.type == :exited }
        events += events_until(pool, :exited, missing) if missing.positive?
        after = pool.workers.map(&:pid)
        File.write(path, "")
        assert_ended load, 0
        assert_equal :reloading, events[0].type
        exited = events.select { |event| event.type == :exited }
        assert_equal before.sort, exited.map(&:pid).sort
        assert_equal [0, 0], exited.map(&:exit_code)
        assert_empty before & after
        # A new worker is ready before its old one is gone.
        2.times do |task|
          assert_equal %i[started ready exited], events.select { |event| event.task_id == task }.map(&:type)
        end
      end
    ensure
      listener&.close
    end
  end

  def test_resize
    with_pool(workers: 2) do |pool|
      events_until(pool, :started, 2)
      pool.resize(4)
      events = events_until(pool, :started, 2)
      assert_equal [4, 4], [pool.worker_count, pool.alive_count]
      assert_equal [2, 3], events.select { |event| event.type == :started }.map(&:task_id).sort
      pool.resize(1)
      gone = events_until(pool, :exited, 3).select { |event| event.type == :exited }
      assert_equal [1, 2, 3], gone.map(&:task_id).sort
      assert_equal [1, 1], [pool.worker_count, pool.alive_count]
      error = assert_raises(Errno::EINVAL) { pool.resize(0) }
      assert_match(/workers must be an Integer, 1 to 65,536, not 0/, error.message)
    end
  end

  def test_pids_and_states
    work = ->(task) { task == 1 ? exit : sleep }
    with_pool(work, workers: 2) do |pool|
      started = events_until(pool, :exited).select { |event| event.type == :started }
      stays, done = pool.workers
      assert_equal started.find { |event| event.task_id.zero? }.pid, stays.pid
      assert_equal [0, :ready, 0], [stays.task_id, stays.state, stays.restarts]
      assert_equal [1, :done, nil], [done.task_id, done.state, done.pid]
      assert_equal 1, pool.alive_count
      pool.signal("KILL", 0)
      events_until(pool, :started)
      again = pool.worker(0)
      assert_equal 1, again.restarts
      refute_includes [nil, stays.pid], again.pid
      pool.replace(1)
      events_until(pool, :started)
      refute_nil pool.worker(1).pid
      pool.stop_worker(0)
      # Worker 1 ends, too.
      loop { break if events_until(pool, :exited).last.task_id.zero? }
      assert_equal :empty, pool.worker(0).state
      assert_equal({ started: 4, restarted: 1 }, pool.counters.slice(:started, :restarted))
      assert_equal 4, pool.counter(:started)
    end
  end

  def test_shared_listening_socket
    program = run_program(<<~RUBY)
      listener, = Prefork.bind_sockets("127.0.0.1", 0)
      puts "port \#{listener.local_address.ip_port}"
      Prefork::Pool.new(workers: 2).run do |task|
        connection = listener.accept
        connection.write("task \#{task}")
        connection.read(1)
      end
    RUBY
    port = program.wait_for("port")[0].split[1].to_i
    # Each worker takes one, and waits: the second is served by the other worker.
    first, second = Array.new(2) { TCPSocket.new("127.0.0.1", port) }
    assert_equal ["task 0", "task 1"], [first.readpartial(16), second.readpartial(16)].sort
    [first, second].each(&:close)
    assert_ended program, 0
  end

  def test_use_after_fork_refused
    pool = nil
    work = lambda do |_task|
      calls = [-> { pool.stop }, -> { pool.reload }, -> { pool.workers }, -> { pool.next_event }, -> { pool.start {} },
               -> { pool.signal("TERM") }, -> { pool.handle_signal("TERM") }]
      calls.each do |call|
        call.call
        exit 1
      rescue Errno::ECHILD
        nil
      end
    end
    with_pool(work, workers: 1) do |made|
      pool = made
      assert_equal [0], pool.select { |event| event.type == :exited }.map(&:exit_code)
    end

    with_pool(workers: 1) do |living| # a child that is not a worker
      events_until(living, :started)
      child = fork do
        living.stop
        exit! 8
      rescue Errno::ECHILD
        living.close # which leaves the workers alone
        exit! 7
      end
      assert_equal 7, Process.wait2(child)[1].exitstatus
      assert_equal 1, living.alive_count
    end
  end

  CTRL_C = {
    trapped: "pool.on_event { |event| puts \"noticed \#{now}\" if event.type == :stopping }; pool.run(&work)",
    interrupt: "begin; pool.run(&work); rescue Interrupt; puts \"noticed \#{at}\"; end",
    sleeper: "pool.start(&work); begin; nil until pool.next_event.type == :started; sleep; rescue Interrupt; puts \"noticed \#{now}\"; end"
  }.freeze

  CTRL_C.each do |name, code|
    define_method(:"test_ctrl_c_within_100_ms_#{name}") do
      took = []
      20.times do # the best of some: the machine may be busy
        program = run_program(<<~RUBY)
          def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
          at = nil
          pool = Prefork::Pool.new(workers: 1, signals: #{name == :trapped ? ':standard' : ':none'})
          pool.on_event { |event| at = now if event.type == :stopping }
          work = proc { trap("INT", "IGNORE"); puts "worker"; sleep }
          #{code}
        RUBY
        program.wait_for("worker")
        began = Support.now
        program.signal("INT")
        assert_ended program, 0
        took << (program.lines("noticed")[0].split[1].to_f - began)
        break if took.last < 0.1
      end
      assert_operator took.last, :<, 0.1, took.inspect
    end
  end

  def test_library_missing_or_too_old
    Dir.mktmpdir do |directory|
      path = File.join(directory, "libprefork.so.0")
      program = run_program("", env: { "PREFORK_LIBRARY" => path })
      assert_ended program, 1
      assert_includes program.err, "prefork: the shared library libprefork was not found"
      assert_includes program.err, path
      assert_includes program.err, "set PREFORK_LIBRARY to the path"
      {
        'const char *pf_version(void) { return "0.0.9"; }' =>
          "has version 0.0.9; libprefork 0.2.0 or later is needed",
        'const char *pf_version(void) { return "0.2.0"; }' => "has version 0.2.0 and lacks pf_strerror; libprefork",
        "int other;" => "is not libprefork"
      }.each_with_index do |(source, message), index|
        library = File.join(directory, "#{index}.so")
        IO.popen(["cc", "-shared", "-o", library, "-x", "c", "-"], "w") { |compiler| compiler.puts source }
        program = run_program("", env: { "PREFORK_LIBRARY" => library })
        assert_ended program, 1
        assert_includes program.err, message
      end
    end
  end
end
