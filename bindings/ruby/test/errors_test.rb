# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "support"

# Bad values and failures are errors of the kinds that Ruby has for them.
class ErrorsTest < Support::Case
  def test_errors_as_the_languages_own_for_values_out_of_range
    {
      workers: 65_537, max_restarts: 2**32, stop_timeout: -1, ready_timeout: Float::NAN, stop_signal: 1000,
      backoff: [2, 1], restart_policy: :sometimes, name: "x" * 64, restart_window: [0, 5], lifetime: [-1, 0],
      exit_actions: { 256 => :done }, spares: -1, replace_width: 0, boot_limit: -1, exec: [],
      fds: { "a:b" => 0 }, parent_death_signal: "NONE", min_uptime: Float::INFINITY
    }.each do |name, value|
      error = assert_raises(Errno::EINVAL, name) { Prefork::Pool.new(name => value) }
      assert_match(/#{name} must be /, error.message)
    end
    {
      stop_signal: ["EXIT", :EXIT, "SIGEXIT", "", "TERM".encode("UTF-16LE"), 1.0], parent_death_signal: ["EXIT", "SIGSIGTERM"],
      name: ["a".encode("UTF-16LE")], exec: [["a\0b"], ["/bin/true".encode("UTF-16LE")]], stop_timeout: [2**64, "1", nil],
      max_restarts: [Float::NAN, -2**31 - 1], backoff: [[1], [1, 2, 3], [nil, nil], [Float::NAN, 1]],
      restart_window: [[65_537, 1], [1, 0]], heartbeat_timeout: [Complex(1, 1)]
    }.each do |name, values|
      values.each do |value|
        error = assert_raises(Errno::EINVAL, TypeError, value.inspect) { Prefork::Pool.new(name => value) }
        assert_match(/#{name} must be /, error.message)
      end
    end
    error = assert_raises(Errno::EINVAL) { Prefork::Pool.new(name: "a\0b") }
    assert_equal "Invalid argument - name must be a String of at most 63 bytes without NUL, not \"a\\u0000b\"",
                 error.message
    assert_raises(Errno::EINVAL) { Prefork::Pool.new(foreign: true, exec: true) }
    assert_raises(Errno::EBADF) { Prefork::Pool.new(fds: { "a" => 1000 }) }
    ["A=B", ""].each { |name| assert_raises(Errno::EINVAL) { Prefork::Pool.new(exec: true, env: { name => "" }) } }
  end

  def test_errors_as_the_languages_own_for_wrong_types
    {
      workers: "2", max_restarts: 1.5, stop_timeout: "1", backoff: 3, restart_policy: "always", name: 5,
      exit_actions: [1], stop_fd: 1, allow_threads: nil, exec: "true", fds: { 3 => 0 }, foreign: :yes, env: {},
      manager_notify: "no"
    }.each do |name, value|
      error = assert_raises(TypeError, name) { Prefork::Pool.new(name => value) }
      assert_match(/#{name} must be /, error.message)
    end
    [3, { "a" => Object.new }].each { |fds| assert_raises(TypeError) { Prefork::Pool.new(fds: fds) } }
    error = assert_raises(ArgumentError) { Prefork::Pool.new(worker: 4) }
    assert_equal "unknown keyword: :worker", error.message
    error = assert_raises(ArgumentError) { Prefork::Pool.new.run }
    assert_equal "a block for the workers is missing", error.message
  end

  def test_errors_as_the_languages_own_at_the_wrong_time
    pool = Prefork::Pool.new(workers: 1)
    assert_match(/was not started/, assert_raises(Errno::EINVAL) { pool.stop }.message)
    assert_match(/was not started/, assert_raises(Errno::EINVAL) { pool.next_event }.message)
    assert_match(/was not started/, assert_raises(Errno::EINVAL) { pool.worker(0) }.message)
    calls = [-> { pool.stop }, -> { pool.to_io }, -> { pool.worker_count }, -> { pool.next_event }]
    calls.each { |call| assert_match(/was not started/, assert_raises(Errno::EINVAL, &call).message) }
    pool.close
    pool.close
    [*calls, -> { pool.start {} }].each do |call|
      assert_match(/the pool is closed/, assert_raises(Errno::EINVAL, &call).message)
    end
    with_pool(workers: 1) do |living|
      events_until(living, :started)
      assert_match(/task_id must be/, assert_raises(Errno::EINVAL) { living.worker(1) }.message)
      assert_raises(Errno::EINVAL) { living.signal("TERM", -1) }
      %w[NONE EXIT].each { |name| assert_raises(Errno::EINVAL) { living.signal(name) } }
      assert_raises(Errno::EINVAL) { living.handle_signal("KILL") }
      assert_raises(Errno::EALREADY) { living.start {} }
      assert_raises(ArgumentError) { living.counter(:other) }
      assert_raises(Errno::EINVAL) { living.set_exec(true) }
      [:dup, :clone].each { |copy| assert_raises(TypeError) { living.public_send(copy) } }
    end
  end

  def test_errors_as_the_languages_own_of_a_pool
    quiet = proc {}
    pool = Prefork::Pool.new(workers: 1, max_restarts: 0, signals: :none).on_event(&quiet)
    error = assert_raises(Prefork::GaveUpError) { pool.run { exit 1 } }
    assert_kind_of StandardError, error
    assert_equal(-4097, error.code)
    pool = Prefork::Pool.new(workers: 1, exit_actions: { 9 => :fatal }, signals: :none).on_event(&quiet)
    assert_equal(-4100, assert_raises(Prefork::FatalExitError) { pool.run { exit 9 } }.code)
    pool = Prefork::Pool.new(workers: 1, max_restarts: 0, exit_actions: { 9 => :done }, signals: :none).on_event(&quiet)
    assert_same pool, pool.run { exit 9 }
  end

  def test_errors_as_the_languages_own_outside_of_workers
    %i[ready heartbeat retire stop_fd stopping?].each do |name|
      assert_raises(Errno::ECHILD, name) { Prefork.public_send(name) }
    end
    assert_raises(Errno::ECHILD) { Prefork.worker_fd("a") }
    assert_nil Prefork.pool_name
    assert_raises(Errno::EINVAL) { Prefork.die_of_signal("CHLD") }
  end

  def test_errors_as_the_languages_own_of_sockets
    taken = TCPServer.new("127.0.0.1", 0)
    port = taken.local_address.ip_port
    error = assert_raises(Errno::EADDRINUSE) { Prefork.bind_sockets("127.0.0.1", port) }
    assert_includes error.message, "127.0.0.1:#{port}"
    taken.close
    error = assert_raises(Errno::EINVAL) { Prefork.bind_sockets("127.0.0.1", 70_000) }
    assert_match(/port must be an Integer, 0 to 65,535, not 70000/, error.message)
    error = assert_raises(Errno::EINVAL) { Prefork.bind_sockets("127.0.0.1", 0, family: 1) }
    assert_match(/family must be Socket::AF_UNSPEC, .*, not 1/, error.message)
    assert_raises(TypeError) { Prefork.bind_sockets("127.0.0.1", "80") }
    assert_raises(SocketError) { Prefork.bind_sockets("name.invalid", 0) }
    Dir.mktmpdir do |directory|
      path = File.join(directory, "file")
      File.write(path, "")
      assert_includes assert_raises(Errno::EEXIST) { Prefork.bind_unix_socket(path) }.message, path
      assert_raises(Errno::EINVAL) { Prefork.bind_unix_socket(path, mode: 0o1000) }
    end
  end

  def test_an_exception_of_the_handler_stops_the_pool
    seen = []
    pool = Prefork::Pool.new(workers: 2, signals: :none)
    pool.on_event do |event|
      seen << event.type
      raise "no more" if event.type == :started && seen.count(:started) == 2
    end
    error = assert_raises(RuntimeError) { pool.run { sleep } }
    assert_equal "no more", error.message
    assert_equal %i[stopping exited exited done], seen.last(4)
  end
end
