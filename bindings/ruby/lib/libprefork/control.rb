# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # The part of a pool that controls it and reports its state. Any thread and any signal handler may call {#stop},
  # {#kill}, {#reload}, {#wake}, {#handle_signal} and {#upgrade}; only the thread that runs the pool may call the
  # others. In a process that did not make the pool each raises Errno::ECHILD.
  module Control
    # Stops all workers gracefully. {Pool#run} and {Pool#each} go on until they have ended.
    # @return [void]
    def stop
      done(request(:pf_pool_stop), "stop")
    end

    # Stops all workers by SIGKILL.
    # @return [void]
    def kill
      done(request(:pf_pool_kill), "kill")
    end

    # Replaces all workers, one after the other, each when its replacement is ready.
    # @return [void]
    def reload
      done(request(:pf_pool_reload), "reload")
    end

    # Makes the thread that waits for an event return to its loop.
    # @return [void]
    def wake
      done(request(:pf_pool_wake), "wake")
    end

    # Handles a signal that the program has received as `signals: :standard` does.
    # @param signal [String, Symbol, Integer] TERM, INT, QUIT, HUP, TTIN, TTOU, USR1, USR2 or WINCH
    # @return [void]
    def handle_signal(signal)
      number = Errors.signal(:signal, signal)
      expected = "TERM, INT, QUIT, HUP, TTIN, TTOU, USR1, USR2 or WINCH"
      ask(request(:pf_pool_handle_signal, number), :signal, expected, signal)
    end

    # Changes the number of slots. New ones are started; of too many, those with the highest task ids are stopped.
    # @param workers [Integer] 1 to 65,536
    # @return [void]
    def resize(workers)
      ask_integer(:pf_pool_resize, :workers, "an Integer, 1 to 65,536", workers)
    end

    # Changes the number of spares: workers that are started ahead of need and wait without a task id.
    # @param spares [Integer] 0 to 65,536
    # @return [void]
    def spares=(spares)
      ask_integer(:pf_pool_set_spares, :spares, Settings::COUNT, spares)
    end

    # Replaces one worker. This is not a restart that counts.
    # @param task_id [Integer]
    # @return [void]
    def replace(task_id)
      ask_integer(:pf_pool_replace_worker, :task_id, SLOT, task_id)
    end

    # Stops one worker, and leaves its slot empty until {#replace} starts a worker there.
    # @param task_id [Integer]
    # @return [void]
    def stop_worker(task_id)
      ask_integer(:pf_pool_stop_worker, :task_id, SLOT, task_id)
    end

    # Sends a signal to one worker, or to all. This is not a request to stop.
    # @param signal [String, Symbol, Integer]
    # @param task_id [Integer, nil] nil: all
    # @return [void]
    def signal(signal, task_id = nil)
      number = Errors.signal(:signal, signal)
      slot = task_id.nil? ? -1 : Errors.integer(:task_id, task_id, SLOT)
      raise Errors.invalid(:task_id, SLOT, task_id) if task_id && !(0...worker_count).cover?(task_id)

      ask(Library.call(:pf_pool_send_signal, @handle, slot, number), :signal, "a signal", signal)
    end

    # Changes the program of workers by exec, from the next start on. A reload replaces all workers.
    # @param program [true, Array<String>]
    # @param env [Hash, nil]
    # @return [void]
    def set_exec(program, env: nil)
      raise Errors.invalid(:exec, "for a pool whose workers are made by exec", program) unless @settings[:exec]

      Settings.exec(@handle, *Settings.program(program), Settings.environment(env))
      nil
    end

    # Executes a program in this process, which goes on with the workers: the same process id, no request lost. In
    # the new program a pool of the same name adopts them, reports the event :adopted, and {Prefork.bind_sockets}
    # returns the sockets that are open. {#reload} then replaces the workers that run the old program.
    #
    # The pool does it when no event waits, so the call returns before. A failure is reported by a warning, and the
    # pool continues; also if another thread runs a pool, or another pool has events, for 60 seconds. The thread that
    # runs the pool must be the main thread.
    # @param program [Array<String>, nil] nil: this program, by the arguments that it was started with
    # @param env [Hash, nil] nil: the present environment
    # @return [void]
    def upgrade(program = nil, env: nil)
      path, arguments = program.nil? ? nil : Settings.program(program)
      last = ::Process.clock_gettime(::Process::CLOCK_MONOTONIC) + UPGRADE_S
      @upgrade = [path, arguments, Settings.environment(env), last]
      wake
    rescue SystemCallError
      @upgrade = nil
      raise
    end

    # @return [Integer] slots
    def worker_count
      value(Library.call(:pf_pool_worker_count, @handle))
    end

    # @return [Integer] processes
    def alive_count
      value(Library.call(:pf_pool_alive_count, @handle))
    end

    # What one slot looks like. While a worker is being replaced this is the old one.
    # @param task_id [Integer]
    # @return [WorkerInfo]
    def worker(task_id)
      slot = Errors.integer(:task_id, task_id, SLOT)
      pid = Library.call(:pf_pool_worker_pid, @handle, slot)
      ask(pid, :task_id, SLOT, task_id)
      WorkerInfo.new(
        task_id: slot, pid: pid.zero? ? nil : pid, state: state(slot),
        restarts: Errors.check(Library.call(:pf_pool_worker_restarts, @handle, slot)),
        uptime: Library.call(:pf_pool_worker_uptime_ms, @handle, slot) / 1e3
      ).freeze
    end

    # @return [Array<WorkerInfo>] of all slots
    def workers
      Array.new(worker_count) { |task_id| worker(task_id) }
    end

    # A number for metrics. Those that count over the pool's life never decrease, and stay after {Pool#close}.
    # @param name [Symbol] a key of {Names::COUNTERS}
    # @return [Integer]
    def counter(name)
      number = Names::COUNTERS.fetch(name) do
        raise ArgumentError, "name must be one of #{Names::COUNTERS.keys.inspect}, not #{name.inspect}"
      end
      @handle ? Library.call(:pf_pool_counter, @handle, number) : @last_counters.fetch(name)
    end

    # @return [Hash{Symbol=>Integer}] all numbers for metrics
    def counters
      @handle ? counters_of(@handle) : @last_counters.dup
    end

    # The signal that stopped the pool, for {Prefork.die_of_signal}, also after the end of the pool.
    # @return [Integer, nil]
    def stopped_by
      number = @handle ? Errors.check(Library.call(:pf_pool_stop_signal, @handle)) : 0
      number.zero? ? @stopped_by : number
    end

    SLOT = "the task id of a slot of the pool"
    # How long an upgrade may wait.
    UPGRADE_S = 60
    STATE_OF = Names::STATES.invert.freeze
    private_constant :SLOT, :UPGRADE_S, :STATE_OF

    private

    # Calls a function that any thread may call, so that {Pool#close} does not free the handle meanwhile. Neither a
    # Mutex nor a Monitor can be locked in a signal handler.
    def request(function, *arguments)
      call = Object.new
      @calls[call] = Thread.current
      Library.call(function, @handle, *arguments)
    ensure
      @calls.delete(call)
    end

    def counters_of(handle)
      Names::COUNTERS.to_h { |name, number| [name, Library.call(:pf_pool_counter, handle, number)] }
    end

    def wait_for_requests
      Thread.pass while @calls.values.any? { |thread| thread != Thread.current && thread.alive? }
    end

    def state(slot)
      number = Errors.check(Library.call(:pf_pool_worker_state, @handle, slot))
      STATE_OF.fetch(number) { :"unknown_#{number}" }
    end

    def value(result, what = nil)
      need_start if result == -Errno::EINVAL::Errno
      Errors.check(result, what)
    end

    def done(result, what)
      value(result, what)
      nil
    end

    def ask(result, name, expected, value)
      if result == -Errno::EINVAL::Errno
        need_start
        raise Errors.invalid(name, expected, value)
      end
      Errors.check(result, name)
      nil
    end

    def ask_integer(function, name, expected, value)
      ask(Library.call(function, @handle, Errors.integer(name, value, expected)), name, expected, value)
    end

    def need_handle
      raise Errno::EINVAL, "the pool is closed" unless @handle
    end

    def need_start
      need_handle
      raise Errno::EINVAL, "the pool was not started: call run or start" unless @started
    end
  end
end
