# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "support"

# Workers by exec, and programs that are executed in the supervisor's place.
class ExecTest < Support::Case
  def script(text)
    @directory ||= Dir.mktmpdir
    path = File.join(@directory, "program.rb")
    File.write(path, "require 'libprefork'\n$stdout.sync = true\n#{text}")
    path
  end

  def program_path
    File.join(@directory, "program.rb")
  end

  def teardown
    super
  ensure
    FileUtils.rm_rf(@directory) if @directory
  end

  def test_this_program_anew
    program = run_program([script(<<~RUBY)], "argument")
      listener, = Prefork.bind_sockets("127.0.0.1", 0)
      port = listener.local_address.ip_port
      file = File.open(__FILE__)
      pool = Prefork::Pool.new(workers: 2, name: "web", exec: true, env: ENV.to_h.merge("OWN" => "1"),
                               fds: { "script" => file, "listener" => listener }, ready_timeout: 30)
      puts "before \#{Prefork.task_id.inspect} \#{ENV.keys.grep(/\\APF_/)}"
      at_exit { puts "at_exit \#{Prefork.task_id.inspect}" }
      pool.run do |task|
        own = Prefork.worker_io("listener")
        same = Prefork.worker_io("script").stat.ino == File.stat(__FILE__).ino
        puts ["worker", task, Prefork.task_id, Prefork.pool_name, port, own.local_address.ip_port, own.class, same,
              ENV["OWN"], ARGV].join(" ")
        Prefork.ready
      end
      puts "after \#{port}"
    RUBY
    assert_ended program, 0
    port = program.lines("after")[0].split[1]
    assert_equal (0..1).map { |task| "worker #{task} #{task} web #{port} #{port} TCPServer true 1 argument" },
                 program.lines("worker").sort
    assert_equal ["before 0 []", "before 1 []", "before nil []"], program.lines("before").sort
    assert_equal ["at_exit 0", "at_exit 1", "at_exit nil"], program.lines("at_exit").sort
    assert_empty program.err
  end

  def test_a_worker_that_fails_has_status_1_and_one_that_exits_its_own
    program = run_program([script(<<~RUBY)])
      Thread.new { sleep } # no obstacle
      pool = Prefork::Pool.new(workers: 2, name: "web", exec: true, restart_policy: :never)
      pool.on_event { |event| puts "exit \#{event.task_id} \#{event.exit_code}" if event.type == :exited }
      pool.run { |task| task.zero? ? raise("broken") : exit(9) }
    RUBY
    assert_ended program, 0
    assert_equal ["exit 0 1", "exit 1 9"], program.lines("exit").sort
    assert_match(/broken \(RuntimeError\)/, program.err)
  end

  def test_another_program_and_its_change
    program = run_program(<<~RUBY)
      require "timeout"
      require "tmpdir"
      mark = File.join(Dir.mktmpdir, "mark")
      pool = Prefork::Pool.new(workers: 1, foreign: true,
                               exec: ["/bin/sh", "-c", 'echo first; : >"$0"; exec sleep 600', mark])
      pool.start
      pool.each do |event|
        if event.type == :started && event.reason == :start
          Timeout.timeout(30) { sleep 0.01 until File.exist?(mark) }
          FileUtils.rm_r(File.dirname(mark))
          pool.set_exec(["/bin/sh", "-c", "echo $TEXT; exec sleep 600"], env: { "TEXT" => "second" })
          pool.reload
        end
        pool.stop if event.type == :reloaded
      end
    RUBY
    assert_ended program, 0
    assert_equal %w[first second], program.lines
  end

  def test_a_program_that_is_missing
    pool = Prefork::Pool.new(workers: 1, exec: ["/missing/program"], signals: :none, boot_limit: 1)
    pool.start
    event = events_until(pool, :start_failed).last
    assert_kind_of Errno::ENOENT, event.error
  ensure
    pool&.close
  end

  def test_a_worker_of_another_pool_is_told
    program = run_program([script(<<~RUBY)])
      other = Prefork::Pool.new(workers: 1, name: Prefork.pool_name ? "other" : "web", exec: true, boot_limit: 1,
                                restart_policy: :never)
      other.run { |task| }
    RUBY
    program.finish
    assert_match(/this process is a worker of the pool "web", and must come to it before.*"other"/, program.err)
  end

  def test_spares_take_a_slot
    program = run_program([script(<<~RUBY)])
      pool = Prefork::Pool.new(workers: 1, name: "web", exec: true, spares: 1)
      pool.on_event do |event|
        puts event.type
        pool.signal("KILL", 0) if event.type == :spare_started && pool.counter(:restarted).zero?
        pool.stop if event.type == :started && event.reason == :restart
      end
      pool.run { |task| puts "worker \#{task}"; sleep }
    RUBY
    assert_ended program, 0
    assert_operator program.lines("spare_started").size, :>=, 1
  end

  def test_upgrade
    path = script(<<~RUBY)
      release = File.read(ENV.fetch("RELEASE"))
      listener, = Prefork.bind_sockets("127.0.0.1", 0)
      pool = Prefork::Pool.new(workers: 2, name: "web", ready_timeout: 30)
      trap("USR2") { pool.upgrade }
      puts "\#{release} \#{Process.pid} \#{listener.local_address.ip_port}"
      pool.on_event do |event|
        puts "event \#{event.type}"
        pool.reload if event.type == :adopted
      end
      pool.run do |task|
        trap("TERM", "IGNORE")
        stop = Prefork.stop_io
        Prefork.ready
        until IO.select([listener, stop])[0].include?(stop)
          connection = listener.accept_nonblock(exception: false)
          next if connection == :wait_readable

          connection.write(release)
          connection.close
        end
      end
      puts "stopped \#{pool.stopped_by}"
    RUBY
    release = File.join(@directory, "release")
    File.write(release, "first")
    program = run_program([path], env: { "RELEASE" => release })
    port = program.wait_for("first")[0].split[2].to_i
    program.wait_for("event ready", 2)
    File.write(release, "second")
    program.signal("USR2")
    assert_equal "second #{program.pid} #{port}", program.wait_for("second")[0]
    program.wait_for("event adopted")
    program.wait_for("event reloaded")
    assert_equal "second", TCPSocket.open("127.0.0.1", port, &:read)
    program.signal("TERM")
    assert_ended program, 0
    assert_equal ["stopped 15"], program.lines("stopped")
  end

  def test_an_upgrade_that_fails_is_told
    program = run_program([script(<<~RUBY)])
      pool = Prefork::Pool.new(workers: 1, name: "web")
      pool.start { sleep }
      pool.next_event until pool.alive_count == 1
      pool.upgrade(["/missing/program"])
      pool.next_event(0.05)
      pool.next_event(0.05)
      puts "alive \#{pool.alive_count}"
      pool.close
    RUBY
    assert_ended program, 0
    assert_equal ["alive 1"], program.lines("alive")
    assert_match(/prefork: the upgrade failed: No such file or directory/, program.err)
  end

  def test_an_upgrade_waits_for_events_of_another_pool_but_not_for_ever
    program = run_program([script(<<~'RUBY')])
      other = Prefork::Pool.new(name: "other", workers: 2, signals: :none).start { sleep }
      other.next_event until other.counter(:started) == 2 # and has events
      pool = Prefork::Pool.new(name: "own", workers: 1, signals: :none).start { sleep }
      pool.next_event until pool.counter(:started) == 1
      while pool.next_event(0); end
      pool.upgrade(["/bin/echo", "executed"])
      puts "event #{pool.next_event(0.3).inspect}"
      pool.instance_variable_get(:@upgrade)[-1] = 0 if ARGV[0] == "fails"
      while other.next_event(0); end if ARGV[0] == "succeeds"
      puts "event #{pool.next_event(0.5).inspect}"
    RUBY
    assert_ended program, 0
    assert_equal ["event nil"] * 2, program.lines("event")
    %w[fails succeeds].each do |argument|
      program = run_program([program_path], argument)
      assert_ended program, 0
      assert_equal argument == "succeeds" ? ["executed"] : [], program.lines("executed")
      assert_equal argument == "fails", program.err.include?("the upgrade failed: Resource temporarily unavailable")
    end
  end

  def test_many_descriptors_of_systemd
    program = run_program([script(<<~'RUBY')])
      if ENV["LISTEN_FDS"]
        puts "fds #{Prefork.listen_fds.map(&:fileno) == [*3...103]}"
      else
        passed = (3...103).to_h { |fd| [fd, File.open(File::NULL)] }
        exec({ "LISTEN_PID" => Process.pid.to_s, "LISTEN_FDS" => "100" }, RbConfig.ruby, __FILE__, passed)
      end
    RUBY
    assert_ended program, 0
    assert_equal ["fds true"], program.lines
  end
end
