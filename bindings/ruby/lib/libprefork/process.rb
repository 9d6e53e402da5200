# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # Signals that are to end the process that only waits for its daemon.
  LAUNCHER_SIGNALS = %w[HUP INT QUIT TERM].freeze
  private_constant :LAUNCHER_SIGNALS

  class << self
    # @return [Integer] the processors that this process may use, by affinity and quotas of control groups
    def cpu_count
      Library.call(:pf_cpu_count)
    end

    # @return [String] the version of the shared library
    def library_version
      Library.call(:pf_version).force_encoding("UTF-8")
    end

    # Ends this process as a signal would, usually the one of {Pool#stopped_by}, whatever handler there is. Process 1,
    # which such a signal does not end, ends with status 128 + the number. No `at_exit` handler runs.
    # @param signal [String, Symbol, Integer]
    # @raise [Errno::EINVAL] if the signal does not end processes
    def die_of_signal(signal)
      flush
      number = Errors.signal(:signal, signal)
      result = Library.call(:pf_die_of_signal, number)
      raise Errors.invalid(:signal, "a signal that ends processes", signal) if result == -Errno::EINVAL::Errno

      Errors.check(result, "die_of_signal")
    end

    # Continues as a daemon: in a new session, without a terminal. Call it first, before threads, sockets and pools.
    # The launching process ends with status 0 when all workers of the pools are ready, or the daemon has called
    # {Prefork.daemon_ready}; with 1 if the daemon ends before.
    #
    # Ruby 3.3 and later have a thread of their own from the start, so that this raises {ThreadsError} there: let a
    # service manager start the program.
    # @param pid_file [String, nil] gets the process id, is locked, and is removed at the end
    # @return [void]
    # @raise [Errno::EEXIST] if a living daemon has the pid file
    # @raise [ThreadsError] beside other threads
    def daemonize(pid_file = nil)
      name = pid_file && Errors.text(:pid_file, pid_file)
      flush
      launcher = ::Process.pid
      result = with_default_signals do
        code = Library.call(:pf_daemonize, name)
        # Ruby has to know of a fork that is not its own.
        Fiddle::Function.new(Fiddle::Handle::DEFAULT["rb_thread_atfork"], [], Fiddle::TYPE_VOID, need_gvl: true).call \
          if ::Process.pid != launcher
        code
      end
      Errors.check(result, name)
      nil
    end

    # Lets the launching process of a daemon end now. Without effect in a process that is not a daemon.
    # @return [void]
    # @raise [Errno::ECHILD] in a child of the daemon
    def daemon_ready
      Errors.check(Library.call(:pf_daemon_ready), "daemon_ready")
      nil
    end

    private

    def flush
      [$stdout, $stderr].each do |stream|
        stream.flush
      rescue IOError, SystemCallError
        nil # closed, or nobody reads
      end
    end

    def with_default_signals
      previous = LAUNCHER_SIGNALS.to_h { |name| [name, trap(name, "SYSTEM_DEFAULT")] }
      previous.each { |name, handler| trap(name, handler) unless handler == "DEFAULT" }
      yield
    ensure
      previous.each { |name, handler| trap(name, handler) }
    end

    # Executes a program in this process, which keeps the workers of its pools.
    def execute(path, arguments, environment)
      flush
      result = Settings.strings(arguments) do |argv|
        Settings.strings(environment) { |envp| Library.call(:pf_upgrade, path, argv, envp) }
      end
      Errors.check(result, "upgrade")
    end
  end
end
