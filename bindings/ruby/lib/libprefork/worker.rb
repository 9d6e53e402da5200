# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # A worker that executed its program: this process, if its supervisor has started it so.
  # @private
  module Executed
    # The library knows it when it is loaded. A forked worker has loaded it before.
    @pid = Library.call(:pf_task_id) == -1 ? nil : ::Process.pid

    class << self
      # In a worker of this pool: runs the block and ends the process. Elsewhere: nothing.
      def run(pool, handle, settings, block)
        return unless @pid == ::Process.pid

        check_name(Prefork.pool_name, settings[:name] || "")
        raise Error, "a worker of this pool executes another program, which must run a block" unless block

        task = Fiddle::Pointer.malloc(Fiddle::SIZEOF_INT, Fiddle::RUBY_FREE)
        Errors.check(Library.call(:pf_pool_run, handle, task), "run")
        @pid = nil
        block.call(task[0, Fiddle::SIZEOF_INT].unpack1("i"))
        pool.close
        exit
      end

      private

      def check_name(own, name)
        return if own == name

        raise Error, "this process is a worker of the pool #{own.inspect}, and must come to it before it starts " \
                     "the pool #{name.inspect}"
      end
    end
  end
  private_constant :Executed

  class << self
    # @return [Integer, nil] the task id of this worker, which its replacement keeps; nil: not a worker
    def task_id
      number = Library.call(:pf_task_id)
      number.negative? ? nil : number
    end

    # @return [String, nil] the name of the pool of this worker; nil: not a worker
    def pool_name
      Library.call(:pf_worker_pool_name)&.force_encoding("UTF-8")
    end

    # Reports that this worker can serve. Any thread may call it, as all functions for workers.
    # @return [void]
    # @raise [Errno::ECHILD] in a process that is not a worker
    # @raise [Errno::ESRCH] if the supervisor has ended
    def ready
      worker_call(:pf_worker_ready, "ready")
    end

    # Requests a replacement of this worker, which works on until it is asked to stop.
    # @return [void]
    # @raise (see .ready)
    def retire
      worker_call(:pf_worker_retire, "retire")
    end

    # Reports that this worker makes progress. Usually costs no system call.
    # @return [void]
    # @raise (see .ready)
    def heartbeat
      worker_call(:pf_worker_heartbeat, "heartbeat")
    end

    # A descriptor that becomes and stays readable when this worker must stop, before any signal is sent. A
    # worker that uses it ignores the stop signal (`trap("TERM", "IGNORE")`), or the pool has `stop_signal: 0`.
    # @return [Integer]
    # @raise [Errno::ECHILD] in a process that is not a worker
    def stop_fd
      Errors.check(Library.call(:pf_worker_stop_fd), "stop_fd")
    end

    # {Prefork.stop_fd} for IO.select. Read nothing from it.
    # @return [IO]
    # @raise (see .stop_fd)
    def stop_io
      IO.for_fd(stop_fd, autoclose: false)
    end

    # Whether this worker must stop.
    # @return [Boolean]
    # @raise (see .stop_fd)
    def stopping?
      wait_for_stop(0)
    end

    # Waits until this worker must stop. Other threads go on.
    # @param timeout [Numeric, nil] seconds; nil: no limit
    # @return [Boolean] whether it must stop
    # @raise (see .stop_fd)
    def wait_for_stop(timeout = nil)
      !IO.select([stop_io], nil, nil, timeout).nil?
    end

    # The descriptor that the pool has under this name in `fds`. It belongs to the pool.
    # @param name [String, Symbol]
    # @return [Integer]
    # @raise [Errno::ENOENT] if there is none
    def worker_fd(name)
      name = name.to_s if name.is_a?(Symbol)
      Errors.check(Library.call(:pf_worker_fd, Errors.text(:name, name)), name)
    end

    # A duplicate of {Prefork.worker_fd} as a TCPServer, UNIXServer, Socket or IO, whichever it is.
    # @param name [String, Symbol]
    # @return [IO]
    # @raise (see .worker_fd)
    def worker_io(name)
      copy(worker_fd(name))
    end

    private

    def worker_call(name, what)
      Errors.check(Library.call(name), what)
      nil
    end
  end
end
