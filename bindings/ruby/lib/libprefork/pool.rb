# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # Worker processes that run a block, started, supervised and stopped.
  #
  #     pool = Prefork::Pool.new(workers: 4, ready_timeout: 10)
  #     pool.on_event { |event| logger.info(event.message) }
  #     pool.run { |task| serve(listener) }
  #
  # {#run} supervises to the end. A program with a loop of its own uses {#start}, waits until {#to_io} is readable, and
  # calls {#next_event} with 0; {#each} is in between. A pool is used once, by the thread that made it: usually the
  # main thread, since the end of the thread that forked a worker ends the worker too.
  #
  # **Workers by fork.** Process.fork makes them, so hooks of `Process._fork` run, Random is reseeded, and $stdout and
  # $stderr are flushed before. The result of the block is ignored: the exit status is 0, that of `exit`, or 1 after an
  # exception. As after any Process.fork with a block, `ensure` clauses of the supervisor do not run in a worker, and
  # `at_exit` handlers run, those too that the supervisor has registered: such a handler compares Process.pid.
  #
  # **Threads.** In a worker only the thread that forked it exists. Ruby unlocks the Mutexes of the others, so
  # other Ruby threads are allowed. What they had half done under a Mutex is half done in the worker, and a lock of a C
  # library that a thread held outside of Ruby's lock, as in a name lookup, stays locked. With `allow_threads: false`
  # no worker is forked beside other Ruby threads: the start raises {ThreadsError}, later starts are delayed and
  # reported as :start_failed. Workers by exec are started beside any threads. Ractors run beside a pool; this module
  # is for the main one.
  #
  # **Workers by exec.** Each executes this program anew (`exec: true`), which must come to the same pool: {#run} or
  # {#start} runs the block there and ends the process. Or each executes another program.
  #
  # **The end.** Whoever uses {#start} also calls {#close}. Workers of a pool that is forgotten run on until this
  # process ends. A pool cannot be copied.
  class Pool
    include Enumerable
    include Control
    include Forks

    # @param settings [Hash] see the options
    # @option settings [Integer, nil] :workers (nil) slots; nil, 0: {Prefork.cpu_count}
    # @option settings [String] :name ("") at most 63 bytes; a worker by exec finds its pool by it
    # @option settings [true, Array<String>, nil] :exec (nil) nil: workers are forked; true: each executes this program;
    #   an Array: each executes the program with this path, with these arguments from its name on
    # @option settings [Hash, nil] :env (nil) the environment of workers by exec; nil: that of this process
    # @option settings [Boolean] :foreign (false) the program of :exec does not use this library. With a time-out of
    #   readiness or heartbeats it reports as a service does to systemd (NOTIFY_SOCKET)
    # @option settings [Hash{String=>IO, Integer}] :fds ({}) descriptors for {Prefork.worker_io} and {Prefork.worker_fd}
    # @option settings [Integer] :spares (0) workers that are started ahead of need
    # @option settings [Symbol] :restart_policy (:on_failure) a key of {Names::RESTART_POLICIES}
    # @option settings [Integer] :max_restarts (100) in the life of the pool; Float::INFINITY: no limit
    # @option settings [Array(Integer, Numeric)] :restart_window ([0, 0]) restarts, and in how many seconds
    # @option settings [Integer] :boot_limit how many workers may end in a row before one is ready; 0: any number.
    #   Default: 10, or three for each worker if that is more, and 0 with `restart_policy: :always`
    # @option settings [Array(Numeric, Numeric)] :backoff ([0, 0]) the first delay before a restart, and the largest
    # @option settings [Symbol] :limit_action (:stop) a key of {Names::LIMIT_ACTIONS}
    # @option settings [String, Symbol, Integer] :stop_signal ("TERM") how workers are asked to stop; 0: by
    #   {Prefork.stop_io} alone
    # @option settings [Numeric] :stop_timeout (10) after which they are killed; 0: never
    # @option settings [Hash{Integer=>Symbol}] :exit_actions ({}) statuses, and keys of {Names::EXIT_ACTIONS}
    # @option settings [Numeric] :ready_timeout (0) in which a worker must call {Prefork.ready}; 0: it need not
    # @option settings [Numeric] :min_uptime (1) how long a worker must live to count as started well
    # @option settings [Numeric] :heartbeat_timeout (0) the longest time between two {Prefork.heartbeat}; 0: any
    # @option settings [Array(Numeric, Numeric)] :lifetime ([0, 0]) the age at which a worker is replaced, and a random
    #   part; 0: any
    # @option settings [Symbol] :reload_order (:start_first) a key of {Names::RELOAD_ORDERS}
    # @option settings [Integer] :replace_width (1) how many slots are replaced at a time
    # @option settings [Symbol] :signals (:standard) which signals of this process control the pool while it runs.
    #   :standard: TERM stops gracefully, INT and QUIT within a second, a second one kills; HUP reloads; TTIN and TTOU
    #   add and remove a slot; USR1, USR2 and WINCH are sent to the workers. :stop_only: TERM, INT, QUIT and HUP stop.
    #   :none: none. A signal that the program traps or ignores is left to it: the event :signal_unavailable
    # @option settings [Symbol] :process_groups (:none) a key of {Names::GROUP_MODES}
    # @option settings [String, Symbol, Integer] :parent_death_signal ("TERM") sent to workers when this process ends
    # @option settings [Boolean] :stop_fd (true) whether workers can have {Prefork.stop_io}
    # @option settings [Symbol] :reap_orphans (:none) a key of {Names::REAP_MODES}: which other children are reaped
    # @option settings [Boolean] :manager_notify (false) send the messages of sd_notify(3) to NOTIFY_SOCKET
    # @option settings [Symbol] :backend (:auto) a key of {Names::BACKENDS}: how ends are noticed
    # @option settings [Boolean] :allow_threads (true) fork beside other Ruby threads
    # @raise [Errno::EINVAL, TypeError, ArgumentError] naming the setting
    def initialize(**settings)
      @settings = Settings.new(settings)
      @calls = {}.compare_by_identity
      @address = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
      Errors.check(Library.call(:pf_pool_new, @address))
      @handle = @address.ptr
      @address[0, NONE.size] = NONE
      @owner = ::Process.pid
      @started = @done = false
      @settings.apply(@handle)
    rescue Exception
      close
      raise
    end

    # @private
    def initialize_copy(_other)
      @handle = nil
      raise TypeError, "a pool cannot be copied"
    end

    # Sets what {#run} does with each event. Without, warnings and worse are written to $stderr. An exception of the
    # block stops the pool.
    # @yieldparam event [Event]
    # @return [self]
    def on_event(&block)
      @on_event = block
      self
    end

    # Supervises to the end. An exception, such as Interrupt, stops the workers gracefully and is raised again when
    # all have ended: none is left in any case.
    # @yield in each worker
    # @yieldparam task [Integer] the task id
    # @return [self] when all workers have ended, and none will be started; {#stopped_by} tells why
    # @raise [GaveUpError, FatalExitError, SystemCallError] what the pool failed with
    def run(&block)
      start(&block)
      begin
        handle_events
      rescue Exception
        stop_after_exception
        raise
      end
      self
    ensure
      close
    end

    # Begins. The workers are started by the first {#next_event}.
    # @yield (see #run)
    # @yieldparam task (see #run)
    # @return [self]
    def start(&block)
      by_exec = @settings[:exec]
      raise ArgumentError, "a block for the workers is missing" unless block || by_exec.is_a?(Array)

      need_handle
      @block = block
      Executed.run(self, @handle, @settings, block) if by_exec
      refuse_threads unless by_exec
      start_with_signals
      self
    end

    # Waits for the next event. Workers that are to be forked are forked inside of this call.
    # @param timeout [Numeric, nil] seconds; nil: no limit
    # @return [Event, nil] nil after the last one ({#done?}), or after the time
    # @raise (see #run) once, after the last event
    def next_event(timeout = nil)
      need_start
      deadline = timeout && (now + timeout)
      loop do
        event = take
        return event if event
        return finish if @done

        left = deadline && [deadline - now, 0].max
        has_waited = wait(left)
        dispatch
        return take if !has_waited && deadline && now >= deadline
      end
    end

    # Yields each event until the pool is done.
    # @yieldparam event [Event]
    # @return [self, Enumerator]
    # @raise (see #run)
    def each
      return enum_for unless block_given?

      while (event = next_event)
        yield event
      end
      self
    end

    # Whether all workers have ended, and none will be started.
    def done?
      @done
    end

    # What IO.select and other loops wait for: readable when {#next_event} has something to do. Read nothing from it.
    # @return [IO]
    def to_io
      @io ||= IO.for_fd(value(Library.call(:pf_pool_fd, @handle), "to_io"), autoclose: false)
    end

    # Frees the pool. Workers that are still alive are killed first. {#run} does it itself. Not for signal handlers.
    # @return [void]
    def close
      Traps.remove(self)
      handle = @handle
      @handle = @io = nil
      return unless handle

      wait_for_requests
      number = Library.call(:pf_pool_stop_signal, handle)
      @stopped_by = number if number.positive?
      @last_counters = counters_of(handle).merge(ready: 0, alive: 0, spares: 0)
      Library.call(:pf_pool_free, handle)
      nil
    end

    # @return [String]
    def inspect
      state = if @handle.nil? then "closed"
              elsif @done then "done"
              else @started ? "running" : "new"
              end
      "#<#{self.class} #{(@settings[:name] || '').inspect} #{state}>"
    end

    NONE = ("\0" * Fiddle::SIZEOF_VOIDP).freeze
    # Where the library itself has to wait, a signal that comes just before is handled so much later.
    INSIDE_MS = 50
    UPGRADE_AGAIN_S = 0.1
    FAILURES = %i[exited start_failed unresponsive].freeze
    private_constant :NONE, :INSIDE_MS, :UPGRADE_AGAIN_S, :FAILURES

    private

    def now
      ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
    end

    def handle_events
      each { |event| @on_event ? @on_event.call(event) : report(event) }
    end

    def report(event)
      warn("prefork: #{event.message}") if event.level <= 4
    end

    def stop_after_exception
      return if @done || ::Process.pid != @owner

      stop
      handle_events
    end

    # Ruby's handlers come first: the library would take a signal that has the default disposition, and Ruby could
    # not restore that handler. What comes before the start is handled after it.
    def start_with_signals
      unless @started
        @early = []
        receive_signals
      end
      Errors.check(Library.call(:pf_pool_start, @handle), "start")
      @started = true
      receive_signal(@early.shift) until @early.empty?
    ensure
      Traps.remove(self) unless @started
    end

    def receive_signals
      case @settings[:signals]
      when nil, :standard then Traps.add(self, Traps::STANDARD)
      when :stop_only then Traps.add(self, Traps::STOP_ONLY)
      end
    end

    # In a signal handler. In a worker the library refuses it.
    def receive_signal(number)
      return @early << number unless @started

      if @settings[:signals] == :stop_only
        @stopped_by ||= number
        request(:pf_pool_stop)
      else
        request(:pf_pool_handle_signal, number)
      end
    end

    # The next event, if one waits. What a signal handler raises may come between any two lines. An event is valid
    # until the next one is asked for: one that was not done with is looked at again.
    def take
      while @address.ptr.to_i.positive? || next_in_library
        address = @address.ptr
        type = Event.type_of(address)
        if type == :fork_wanted
          fork_worker(Library.call(:pf_event_task_id, address))
        elsif type != :signal_unavailable || !Traps.include?(Library.call(:pf_event_signal, address))
          event = remember(Event.read(address))
        end
        @address[0, NONE.size] = NONE
        return event if event
      end
    end

    def next_in_library
      Errors.check(Library.call(:pf_pool_next_event, @handle, @address)).positive?
    end

    def remember(event)
      @last_failure = event.message if FAILURES.include?(event.type)
      @failure_before_end = @last_failure if event.type == :gave_up
      event
    end

    # Returns false if nothing happened in the time.
    def wait(timeout)
      try_upgrade if @upgrade
      timeout = [timeout || UPGRADE_AGAIN_S, UPGRADE_AGAIN_S].min if @upgrade
      return !IO.select([to_io], nil, nil, timeout).nil? unless waits_inside?

      Library.call(:wait, @handle, [((timeout || 1) * 1000).ceil, INSIDE_MS].min)
      timeout.nil? || timeout.positive?
    end

    # Orphans that are adopted while Ruby waits are taken for children of the program. Where the system refuses a
    # timer there is no descriptor.
    def waits_inside?
      return @waits_inside unless @waits_inside.nil?

      @waits_inside = @settings[:reap_orphans] == :adopted || Library.call(:pf_pool_fd, @handle).negative?
    end

    def dispatch
      result = Library.call(:pf_pool_dispatch, @handle, 0)
      raise Errors.error(result) if result == -Errno::ECHILD::Errno
      return if result.positive?

      @done = true
      @failure = result if result.negative?
      Traps.remove(self)
    end

    def finish
      failure = @failure
      @failure = nil
      return if failure.nil?
      raise Errors.error(failure, failure == Errors::EGAVEUP ? @failure_before_end : nil)
    end

    # Executes the program, unless an event has come meanwhile, or another thread runs a pool: then later.
    def try_upgrade
      *program, last = @upgrade
      Prefork.__send__(:execute, *program)
    rescue SystemCallError => e
      return if [Errno::EAGAIN, Errno::EBUSY].include?(e.class) && now < last

      @upgrade = nil
      warn("prefork: the upgrade failed: #{e.message}")
    end
  end
end
