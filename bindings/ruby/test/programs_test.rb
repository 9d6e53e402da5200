# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "support"
require "net/http"

# The examples, as they are run by users.
class ProgramsTest < Support::Case
  EXAMPLES = File.expand_path("../examples", __dir__)
  RELOADS = 10
  WORKERS = 2

  def start(example, *arguments, **env)
    settings = { "PORT" => "0", "METRICS_PORT" => "0", "WORKERS" => WORKERS.to_s }
    program = run_program([File.join(EXAMPLES, example)], *arguments, env: settings.merge(env.transform_keys(&:to_s)))
    name = File.basename(example, ".rb")
    [program, program.wait_for("#{name}: listening on port")[0][/\d+\z/].to_i]
  end

  def ask(port)
    Net::HTTP.start("127.0.0.1", port, read_timeout: Support::DEADLINE) { |http| http.get("/") }
  end

  def pid_of(port)
    Integer(ask(port).body[/\d+/])
  end

  def alive?(pid)
    File.read("/proc/#{pid}/stat")[/.*\) (\S)/, 1] != "Z"
  rescue Errno::ENOENT, Errno::ESRCH
    false
  end

  # Not by asking: under load one of them may answer all others.
  def workers(program)
    path = "/proc/#{program.pid}/task/#{program.pid}/children"
    pids = []
    Support.wait_until("#{WORKERS} workers") do
      pids = File.read(path).split.map { |pid| Integer(pid) }.select { |pid| alive?(pid) }
      pids.size == WORKERS
    end
    pids
  end

  def reload(program)
    before = workers(program)
    program.signal("HUP")
    Support.wait_until("the end of the old workers") { before.none? { |pid| alive?(pid) } }
    assert_empty before & workers(program)
  end

  def load(port, way)
    command = ENV["LOAD"] ? [ENV["LOAD"]] : [RbConfig.ruby, File.join(__dir__, "load.rb")]
    IO.popen([*command, port.to_s, "4", way])
  end

  def count(load)
    Process.kill("TERM", load.pid)
    line = load.read
    load.close
    line.split.each_slice(2).to_h.transform_values(&:to_i)
  end

  def assert_reloads_lose_nothing(example)
    program, port = start(example, GRACE_S: "1")
    workers(program)
    pid_of(port)
    loads = %w[new kept].map { |way| load(port, way) }
    RELOADS.times { reload(program) }
    loads.each do |load|
      counts = count(load)
      assert_operator counts.delete("answered"), :>, RELOADS
      assert_equal [0, 0, 0], counts.values, program.err
    end
    program.signal("TERM")
    assert_ended program, "TERM"
  end

  def test_rolling_reload_of_a_server_on_tcpserver
    assert_reloads_lose_nothing("hello.rb")
  end

  def test_rolling_reload_of_a_rack_application_on_puma
    skip "there is no puma" unless Gem::Specification.any? { |spec| spec.name == "puma" }
    assert_reloads_lose_nothing("rack_puma.rb")
  end

  def test_the_http_server_answers
    program, port = start("hello.rb", WORKERS: "1")
    response = ask(port)
    assert_equal %w[200 1.1 text/plain], [response.code, response.http_version, response["content-type"]]
    assert_match(/\Ahello from pid \d+, task 0\n\z/, response.body)
    assert_equal response.body.bytesize, response["content-length"].to_i
    assert_equal "404", Net::HTTP.get_response("127.0.0.1", "/other", port).code
    program.signal("INT")
    assert_ended program, "INT"
  end

  def test_a_config_ru_is_served_by_puma
    skip "there is no puma" unless Gem::Specification.any? { |spec| spec.name == "puma" }
    Dir.mktmpdir do |directory|
      path = File.join(directory, "config.ru")
      File.write(path, 'run ->(_env) { [200, {}, ["mine of #{Process.pid}"]] }') # rubocop:disable all
      program, port = start("rack_puma.rb", path)
      assert_match(/\Amine of \d+\z/, ask(port).body)
      program.signal("TERM")
      assert_ended program, "TERM"
    end
  end

  def test_metrics_are_those_of_the_pool
    program, port = start("metrics.rb")
    text = nil
    Support.wait_until("the workers") do
      text = ask(port).body
      text.include?("prefork_workers_ready 2\n")
    end
    assert_includes text, "# TYPE prefork_workers_started_total counter\nprefork_workers_started_total 2\n"
    assert_includes text, "# TYPE prefork_workers_alive gauge\nprefork_workers_alive 2\n"
    assert_equal Prefork::Names::COUNTERS.size, text.scan(/^# HELP /).size
    program.signal("TERM")
    assert_ended program, 0
  end
end
