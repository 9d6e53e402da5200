# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # The part of a pool that forks its workers.
  # @private
  module Forks
    SPARE = -2
    # How long a child may take to tell its process id.
    CHILD_S = 1
    # What {#process_left?} calls: the pid that it stores, the program, no arguments.
    SPAWN = Fiddle::Function.new(Fiddle::Handle::DEFAULT["posix_spawn"], [Fiddle::TYPE_UINTPTR_T] * 6, Fiddle::TYPE_INT,
                                 need_gvl: true)
    SPAWNED = Fiddle::Pointer.malloc(Fiddle::SIZEOF_INT, Fiddle::RUBY_FREE)
    ROOT = Fiddle::Pointer["/\0"]
    NOTHING = Fiddle::Pointer["\0" * Fiddle::SIZEOF_VOIDP]
    private_constant :SPARE, :CHILD_S, :SPAWN, :SPAWNED, :ROOT, :NOTHING

    private

    # Process.fork does not fail where no process is left, but tries again each second: with signals blocked, and
    # while nobody reaps the workers that have ended. So this asks before, if not for what others take in between. A
    # directory cannot be executed: the process that would do so is gone after the call.
    def process_left?
      SPAWN.call(SPAWNED.to_i, ROOT.to_i, 0, 0, NOTHING.to_i, NOTHING.to_i) != Errno::EAGAIN::Errno
    end

    def other_threads
      Thread.list - [Thread.current]
    end

    def refuse_threads
      return if @settings[:allow_threads] != false || (others = other_threads).empty?

      raise ThreadsError.new("other threads run, so forking is not safe: #{others.map(&:inspect).join(', ')}. " \
                             "End them before the pool starts, or pass allow_threads: true", Errors::ETHREADS)
    end

    # Answers a request for a worker. The library blocks all signals in between. What a handler that waits already
    # raises here leaves @forked, or a fork that is prepared: the next call goes on with it.
    def fork_worker(task_id)
      unless @forked
        if @settings[:allow_threads] == false && !other_threads.empty?
          @forked = Errors::ETHREADS
        elsif !process_left?
          @forked = -Errno::EAGAIN::Errno
        else
          result = Library.call(:pf_pool_fork_prepare, @handle, task_id)
          return if result.negative? && result != -Errno::EALREADY::Errno # the pool does not want it any more

          @forked = fork_process(task_id)
        end
      end
      Library.call(:pf_pool_fork_parent, @handle, task_id, @forked)
      @forked = nil
    end

    # The process id, or a negative errno. Where a hook of fork raises there may be a child, which nobody else knows.
    # The pipe tells its process id.
    def fork_process(task_id)
      pipe = IO.pipe
      ::Process.fork do
        tell_pid(pipe)
        become_worker(task_id)
      end
    rescue Exception => e
      refuse_child(pipe) if ::Process.pid != @owner

      @forked = -Errno::EAGAIN::Errno
      end_child(*pipe) if pipe
      raise unless e.is_a?(SystemCallError)

      -(e.errno || Errno::EAGAIN::Errno)
    ensure
      pipe&.each(&:close)
    end

    # In the child.
    def tell_pid(pipe)
      pipe[1].write_nonblock(::Process.pid.to_s)
      pipe.each(&:close)
    end

    # In a child that a hook of fork has refused: the stack is the supervisor's.
    def refuse_child(pipe)
      tell_pid(pipe)
    ensure
      ::Process.exit!(1)
    end

    # In the supervisor: the child, if there is one, waits to be admitted, or ends.
    def end_child(reader, writer)
      writer.close
      pid = IO.select([reader], nil, nil, CHILD_S) ? reader.read_nonblock(32, exception: false).to_i : 0
      return unless pid.positive?

      ::Process.kill(:KILL, pid)
      # Ruby 3.1 and 3.2 would wait for SIGCHLD, which is blocked.
      sleep(0.001) until ::Process.wait(pid, ::Process::WNOHANG)
    rescue SystemCallError
      nil # SIGCHLD is ignored, or there is no descriptor left
    end

    # In the child, which ends with the block of its fork.
    def become_worker(task_id)
      is_worker = false
      Thread.pass # handlers of signals that the supervisor received before the fork, which have no effect here
      Traps.reset
      is_worker = true # what is raised from here on is due to a signal that the worker gets
      result = Library.call(:pf_pool_fork_child, @handle, task_id)
      ::Process.exit!(task_id == SPARE ? 0 : 1) if result.negative?
      @block.call(task_id == SPARE ? result : task_id)
    ensure
      ::Process.exit!(1) unless is_worker
    end
  end
  private_constant :Forks
end
