# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "support"
require "json"

# The prototypes and constants of the package agree with those of the installed library.
class InterfaceTest < Minitest::Test
  INTERFACE = JSON.parse(File.read(ENV.fetch("PREFORK_INTERFACE")))
  LIBRARY = Prefork.module_eval("Library", __FILE__, __LINE__) # private constants
  SETTINGS = Prefork.module_eval("Settings", __FILE__, __LINE__)
  ERRORS = Prefork.module_eval("Errors", __FILE__, __LINE__)

  # Handles, events and arrays are plain addresses.
  TYPES = Hash.new(:pointer).merge(
    "int" => :int, "int32_t" => :int32, "uint32_t" => :uint32, "uint64_t" => :uint64, "const char *" => :string
  ).freeze

  NAMES = {
    "PF_EVENT_" => :EVENTS, "PF_REASON_" => :REASONS, "PF_WORKER_" => :STATES, "PF_COUNT_" => :COUNTERS,
    "PF_RESTART_" => :RESTART_POLICIES, "PF_LIMIT_" => :LIMIT_ACTIONS, "PF_EXIT_" => :EXIT_ACTIONS,
    "PF_RELOAD_" => :RELOAD_ORDERS, "PF_SIGNALS_" => :SIGNAL_SETS, "PF_BACKEND_" => :BACKENDS,
    "PF_REAP_" => :REAP_MODES, "PF_GROUP_" => :GROUP_MODES
  }.freeze

  # What the package does not use of the library: bindings/README.md has the table, and why.
  UNUSED = %w[
    pf_fork_processes pf_set_event_callback pf_pool_set_event_callback pf_pool_set_worker_fn pf_pool_set_thread_policy
    pf_accept pf_version_number pf_event_type_name pf_daemonize pf_daemon_ready
  ].freeze

  def test_each_prototype_is_that_of_the_header
    assert_operator LIBRARY::PROTOTYPES.size, :>, 60
    LIBRARY::PROTOTYPES.each do |name, types|
      described = INTERFACE["functions"].fetch(name.to_s)
      expected = [described["returns"], *described["parameters"].map { |parameter| parameter["type"] }]
      assert_equal expected.map { |type| TYPES[type] }, types, name
    end
  end

  def test_each_constant_is_that_of_the_header
    constants = INTERFACE["constants"]
    NAMES.each do |prefix, name|
      of_header = constants.select { |constant, _| constant.start_with?(prefix) }
                           .transform_keys { |constant| constant.delete_prefix(prefix).downcase.to_sym }
      of_package = Prefork::Names.const_get(name)
      of_package = of_package.except(:none) if %w[PF_REAP_ PF_GROUP_].include?(prefix)
      assert_equal of_header, of_package, name
    end
    assert_equal NAMES.values.sort, Prefork::Names.constants.sort
    assert_equal constants["PF_UNLIMITED"], Prefork::UNLIMITED
    assert_equal constants["PF_TASK_SPARE"], Prefork::Pool.class_eval("SPARE", __FILE__, __LINE__)
    assert_equal constants["PF_BIND_REUSEPORT"], Prefork.module_eval("BIND_REUSEPORT", __FILE__, __LINE__)
    %i[EGAVEUP ETHREADS ERESOLVE EFATAL].each { |name| assert_equal constants["PF_#{name}"], ERRORS.const_get(name) }
  end

  def test_each_function_is_used_or_named_as_unused
    assert_equal UNUSED.sort, INTERFACE["functions"].keys.sort - LIBRARY::PROTOTYPES.keys.map(&:to_s)
  end

  def test_each_function_that_is_declared_is_called
    source = Dir[File.join(File.dirname(LIBRARY.method(:load_functions).source_location[0]), "*.rb")].sum("") do |file|
      File.basename(file) == "library.rb" ? "" : File.read(file)
    end
    declared = LIBRARY::PROTOTYPES.keys.map(&:to_s).grep_v(/\Apf_version\z/)
    declared.each do |name|
      short = name.sub(/\Apf_(pool_set|event)_/, "")
      assert_match(/:#{name}\b|\b#{short}:|:#{short}\b/, source, name)
    end
  end

  def test_each_setting_of_the_library_is_a_setting
    settings = INTERFACE["functions"].keys.grep(/\Apf_pool_set_/) - UNUSED
    renamed = { "stop" => :stop_signal, "exit_action" => :exit_actions, "foreign_workers" => :foreign }
    settings.map { |name| name.delete_prefix("pf_pool_set_") }.each do |name|
      next if name == "host_fork"

      assert_includes SETTINGS::ALL.keys + SETTINGS::OTHERS.keys, renamed.fetch(name, name.to_sym)
    end
  end

  def test_the_versions_agree
    assert_equal INTERFACE["version"], Prefork::VERSION
    assert_equal INTERFACE["version"], Prefork.library_version
    assert_equal INTERFACE["soname"], LIBRARY::SONAME
    assert_operator Prefork::VERSION.split(".").map(&:to_i) <=> LIBRARY::OLDEST, :>=, 0
    assert_operator Prefork.cpu_count, :>=, 1
  end

  def test_the_library_of_the_prefix_is_used
    loaded = File.read("/proc/self/maps").scan(%r{/\S*libprefork\.so\S*}).uniq
    assert_equal 1, loaded.size
    assert loaded[0].start_with?("#{ENV.fetch('PREFORK_PREFIX')}/"), loaded[0]
  end
end
