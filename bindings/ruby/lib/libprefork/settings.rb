# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # As `max_restarts`, like Float::INFINITY: no limit.
  UNLIMITED = 2_147_483_647

  # The settings of a pool: their values, their ranges, and how the library gets them.
  # @private
  class Settings
    SECONDS = "a number of seconds, at least 0"
    COUNT = "an Integer, 0 to 65,536"
    SIGNAL = "the name or the number of a signal; 0: none"
    SWITCH = "true or false"

    # name => [kind, what it may be]
    ALL = {
      name: [:text, "a String of at most 63 bytes without NUL"],
      workers: [:integer, "nil or 0 to 65,536; nil, 0: one for each processor"],
      restart_policy: [:name, Names::RESTART_POLICIES],
      max_restarts: [:integer, "an Integer of 32 bits or Float::INFINITY; negative: 100"],
      restart_window: [:count_and_time, "a count, 1 to 65,536, and a number of seconds; [0, 0]: none"],
      boot_limit: [:integer, "an Integer, 0 to 2,147,483,647; 0: no limit"],
      backoff: [:times, "two numbers of seconds: the first delay, and the largest, which is not smaller"],
      limit_action: [:name, Names::LIMIT_ACTIONS],
      exit_actions: [:exit_actions, "a Hash of exit statuses, 0 to 255, to one of #{Names::EXIT_ACTIONS.keys.inspect}"],
      ready_timeout: [:time, SECONDS],
      min_uptime: [:time, SECONDS],
      heartbeat_timeout: [:time, SECONDS],
      lifetime: [:times, "two numbers of seconds: the age, and its random part"],
      reload_order: [:name, Names::RELOAD_ORDERS],
      replace_width: [:integer, "an Integer, 1 to 65,536"],
      signals: [:name, Names::SIGNAL_SETS],
      stop_fd: [:switch, SWITCH],
      process_groups: [:name, Names::GROUP_MODES],
      parent_death_signal: [:signal, SIGNAL],
      reap_orphans: [:name, Names::REAP_MODES],
      manager_notify: [:switch, SWITCH],
      backend: [:name, Names::BACKENDS],
      spares: [:integer, COUNT]
    }.freeze

    # Those that are set together with others, or that the library does not know.
    OTHERS = {
      stop_signal: SIGNAL,
      stop_timeout: "#{SECONDS}; 0: no limit",
      exec: "nil, true, or an Array of the program and its arguments",
      env: "nil or a Hash of names to values",
      foreign: "true or false; true only with exec: [PROGRAM, ...]",
      fds: "a Hash of names, 1 to 255 bytes without colon, to open descriptors",
      allow_threads: SWITCH
    }.freeze

    BOOTS = 10

    def initialize(given)
      unknown = given.keys - ALL.keys - OTHERS.keys
      unless unknown.empty?
        raise ArgumentError, "unknown keyword#{'s' if unknown.size > 1}: #{unknown.map(&:inspect).join(', ')}"
      end

      @given = given
      check_program
      OTHERS.each_key { |name| switch(name, OTHERS[name], @given.fetch(name, false)) if OTHERS[name].equal?(SWITCH) }
    end

    def [](name)
      @given[name]
    end

    # The program of workers by exec: [path, arguments, environment], where nil is that of this program. nil: they
    # are forked.
    def program
      return unless @given[:exec]

      [*Settings.program(@given[:exec]), Settings.environment(@given[:env])]
    end

    def foreign?
      @given.fetch(:foreign, false)
    end

    def apply(pool)
      @pool = pool
      { workers: nil, boot_limit: default_boot_limit, signals: :standard, **@given }.each do |name, value|
        kind, expected = ALL[name]
        send(kind, name, expected, value) if kind
      end
      set_stop if @given.key?(:stop_signal) || @given.key?(:stop_timeout)
      set_program
      fds = @given.fetch(:fds, {})
      raise Errors.wrong_type(:fds, OTHERS[:fds], fds) unless fds.is_a?(Hash)

      fds.each { |name, file| add_fd(name, file) }
    end

    class << self
      # [path, arguments] of the setting `exec`.
      def program(value)
        return [nil, nil] if value == true

        expected = OTHERS[:exec]
        raise Errors.wrong_type(:exec, expected, value) unless value.is_a?(Array)
        raise Errors.invalid(:exec, expected, value) if value.empty?

        arguments = value.map { |argument| Errors.text(:exec, argument, expected) }
        [arguments.first, arguments]
      end

      # The setting `env` as the library has it.
      def environment(value)
        return if value.nil?
        raise Errors.wrong_type(:env, OTHERS[:env], value) unless value.respond_to?(:to_h)

        value.to_h.map do |name, text|
          if Errors.text(:env, name, OTHERS[:env]).match?(/\A\z|=/)
            raise Errors.invalid(:env, "a Hash of names without = to values", value)
          end

          "#{name}=#{Errors.text(:env, text, OTHERS[:env])}"
        end
      end

      # Yields an array of C strings that ends with NULL, or NULL.
      def strings(values)
        return yield(Fiddle::NULL) if values.nil?

        pointers = values.map { |value| Fiddle::Pointer["#{value}\0"] }
        yield(Fiddle::Pointer[[*pointers.map(&:to_i), 0].pack("J*")])
      end
    end

    private

    def check_program
      raise Errors.wrong_type(:env, "nil without exec", @given[:env]) if @given[:env] && !@given[:exec]

      foreign = switch(:foreign, OTHERS[:foreign], @given.fetch(:foreign, false))
      raise Errors.invalid(:foreign, OTHERS[:foreign], true) if foreign == 1 && !@given[:exec].is_a?(Array)
    end

    # Workers under `always` may be short.
    def default_boot_limit
      return 0 if @given[:restart_policy] == :always

      count = @given[:workers]
      count = Prefork.cpu_count unless count.is_a?(Integer) && count.positive?
      [[BOOTS, 3 * count].max, UNLIMITED].min
    end

    def set(setter, name, expected, value, *values)
      result = Library.call(:"pf_pool_set_#{setter}", @pool, *values)
      raise Errors.invalid(name, expected, value) if result == -Errno::EINVAL::Errno

      Errors.check(result, name)
    end

    def integer(name, expected, value)
      number = value
      number = 0 if value.nil? && name == :workers
      number = UNLIMITED if value == Float::INFINITY && name == :max_restarts
      set(name, name, expected, value, Errors.integer(name, number, expected))
    end

    def name_of(name, expected, value, values)
      raise Errors.wrong_type(name, expected, value) unless value.is_a?(Symbol)

      values.fetch(value) { raise Errors.invalid(name, expected, value) }
    end

    def name(name, values, value)
      expected = "one of #{values.keys.inspect}"
      set(name, name, expected, value, name_of(name, expected, value, values))
    end

    def switch(name, expected, value)
      raise Errors.wrong_type(name, expected, value) unless [true, false].include?(value)

      number = value ? 1 : 0
      ALL.key?(name) ? set(name, name, expected, value, number) : number
    end

    def text(name, expected, value)
      set(name, name, expected, value, Errors.text(name, value, expected))
    end

    def time(name, expected, value)
      set(name, name, expected, value, Errors.milliseconds(name, value, expected))
    end

    def pair(name, expected, value)
      raise Errors.wrong_type(name, expected, value) unless value.is_a?(Array) && value.size == 2

      value
    end

    def times(name, expected, value)
      both = pair(name, expected, value).map { |part| Errors.milliseconds(name, part, expected, value) }
      set(name, name, expected, value, *both)
    end

    def count_and_time(name, expected, value)
      count, window = pair(name, expected, value)
      set(name, name, expected, value, Errors.integer(name, count, expected),
          Errors.milliseconds(name, window, expected, value))
    end

    def signal(name, expected, value)
      set(name, name, expected, value, Errors.signal(name, value, expected))
    end

    def exit_actions(name, expected, value)
      raise Errors.wrong_type(name, expected, value) unless value.is_a?(Hash)

      value.each do |status, action|
        number = name_of(name, expected, action, Names::EXIT_ACTIONS)
        set(:exit_action, name, expected, value, Errors.integer(name, status, expected), number)
      end
    end

    def set_stop
      value = @given.fetch(:stop_signal, "TERM")
      timeout = Errors.milliseconds(:stop_timeout, @given.fetch(:stop_timeout, 10), OTHERS[:stop_timeout])
      set(:stop, :stop_signal, SIGNAL, value, Errors.signal(:stop_signal, value, SIGNAL), timeout)
    end

    def set_program
      path, arguments, environment = program
      if @given[:exec]
        Settings.exec(@pool, path, arguments, environment)
        set(:foreign_workers, :foreign, OTHERS[:foreign], true, 1) if foreign?
      else
        set(:host_fork, :exec, OTHERS[:exec], false, 1)
      end
    end

    def add_fd(name, file)
      name = name.to_s if name.is_a?(Symbol)
      fd = file.respond_to?(:fileno) ? file.fileno : file
      result = Library.call(:pf_pool_add_fd, @pool, Errors.text(:fds, name, OTHERS[:fds]),
                            Errors.integer(:fds, fd, OTHERS[:fds]))
      raise Errors.invalid(:fds, OTHERS[:fds], name) if result == -Errno::EINVAL::Errno

      Errors.check(result, "fds #{name}")
    end

    class << self
      def exec(pool, path, arguments, environment)
        result = strings(arguments) do |argv|
          strings(environment) { |envp| Library.call(:pf_pool_set_exec, pool, path, argv, envp) }
        end
        Errors.check(result, "exec")
      end
    end
  end
  private_constant :Settings
end
