# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
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

    private

    def flush
      [$stdout, $stderr].each do |stream|
        stream.flush
      rescue IOError, SystemCallError
        nil # closed, or nobody reads
      end
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
