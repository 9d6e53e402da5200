# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # Names of the library's constants. Where it is named, a value is the Symbol.
  module Names
    # What happened: {Event#type}.
    EVENTS = {
      starting: 1, started: 2, ready: 3, exited: 4, gave_up: 5, start_failed: 6, stopping: 7, killed: 8,
      unresponsive: 9, reloading: 10, reloaded: 11, reload_failed: 12, resized: 13, done: 14, fork_wanted: 15,
      signal_unavailable: 16, adopted: 17, spare_started: 18, spare_exited: 19
    }.freeze
    # Why a worker was started or stopped, or why the pool ends: {Event#reason}.
    REASONS = {
      none: 0, start: 1, restart: 2, replace: 3, reload: 4, lifetime: 5, retire: 6, resize: 7, stop: 8,
      ready_timeout: 9, heartbeat_timeout: 10, limit: 11, protocol: 12, out_of_memory: 13
    }.freeze
    # The states of a slot: {WorkerInfo#state}.
    STATES = { empty: 0, starting: 1, ready: 2, stopping: 3, backoff: 4, done: 5 }.freeze
    # What {Pool#counter} counts.
    COUNTERS = {
      started: 1, exited: 2, abnormal: 3, restarted: 4, start_failed: 5, unresponsive: 6, reloads: 7, ready: 8,
      alive: 9, replace_failed: 10, spares: 11
    }.freeze
    # Values of the setting `restart_policy`.
    RESTART_POLICIES = { on_failure: 0, always: 1, never: 2 }.freeze
    # Values of the setting `limit_action`.
    LIMIT_ACTIONS = { stop: 0, degrade: 1 }.freeze
    # Values of the setting `exit_actions`.
    EXIT_ACTIONS = { default: 0, restart: 1, done: 2, fatal: 3 }.freeze
    # Values of the setting `reload_order`.
    RELOAD_ORDERS = { start_first: 0, stop_first: 1 }.freeze
    # Values of the setting `signals`.
    SIGNAL_SETS = { none: 0, standard: 1, stop_only: 2 }.freeze
    # Values of the setting `backend`.
    BACKENDS = { auto: 0, pidfd: 1, sigchld: 2 }.freeze
    # Values of the setting `reap_orphans`.
    REAP_MODES = { none: 0, adopted: 1, all: 2 }.freeze
    # Values of the setting `process_groups`.
    GROUP_MODES = { none: 0, signals: 1, kill: 2 }.freeze
  end

  # A fact about the pool or one worker. A field that has no meaning for the type is nil. Pattern matching works:
  #
  #     case event
  #     in { type: :exited, task_id:, signal: Integer => signal } then ...
  #     end
  #
  # A version of the library that is newer than this package can report types and reasons that it does not know.
  # They are Symbols such as `:unknown_20`.
  #
  # @!attribute type
  #   @return [Symbol] a key of {Names::EVENTS}
  # @!attribute level
  #   @return [Integer] as syslog(3): 3 error, 4 warning, 5 notice, 6 information, 7 debug
  # @!attribute message
  #   @return [String] one line
  # @!attribute task_id
  #   @return [Integer, nil] nil: the whole pool, or a spare
  # @!attribute pid
  #   @return [Integer, nil]
  # @!attribute exit_code
  #   @return [Integer, nil] nil: it did not exit, or its status is not known
  # @!attribute signal
  #   @return [Integer, nil] the signal that ended the worker, or that asked the pool to stop
  # @!attribute core_dumped
  #   @return [Boolean]
  # @!attribute will_restart
  #   @return [Boolean]
  # @!attribute error
  #   @return [Exception, nil] the reason of a failure, as it would be raised
  # @!attribute restarts
  #   @return [Integer] counted so far in the pool
  # @!attribute delay
  #   @return [Float] seconds before the next attempt
  # @!attribute uptime
  #   @return [Float] seconds, of the worker that ended
  # @!attribute time
  #   @return [Float] seconds of Process::CLOCK_MONOTONIC
  # @!attribute user_time
  #   @return [Float] seconds of CPU time of the worker that ended, in user mode
  # @!attribute system_time
  #   @return [Float] and in the kernel
  # @!attribute max_rss_kib
  #   @return [Integer] its largest resident set
  # @!attribute worker_count
  #   @return [Integer, nil] slots of :starting, :resized, :reloading and :reloaded; processes of
  #     :adopted and :stopping
  # @!attribute reason
  #   @return [Symbol] a key of {Names::REASONS}
  Event = Struct.new(
    :type, :level, :message, :task_id, :pid, :exit_code, :signal, :core_dumped, :will_restart, :error, :restarts,
    :delay, :uptime, :time, :user_time, :system_time, :max_rss_kib, :worker_count, :reason,
    keyword_init: true
  ) do
    # @return [String] the message
    def to_s
      message
    end
  end

  class Event
    TYPE_OF = Names::EVENTS.invert.freeze
    REASON_OF = Names::REASONS.invert.freeze
    private_constant :TYPE_OF, :REASON_OF

    class << self
      # The type of an event of the library.
      # @private
      def type_of(address)
        number = get(:type, address)
        TYPE_OF.fetch(number) { :"unknown_#{number}" }
      end

      # Copies an event of the library, which the next one overwrites.
      # @private
      def read(address)
        error = get(:error, address)
        reason = get(:reason, address)
        new(
          type: type_of(address), level: get(:level, address), message: message(address), **worker(address),
          core_dumped: get(:core_dumped, address) == 1, will_restart: get(:will_restart, address) == 1,
          error: error.negative? ? Errors.error(error) : nil, restarts: get(:restarts, address),
          **times(address), max_rss_kib: get(:max_rss_kib, address),
          worker_count: some(get(:worker_count, address), 1),
          reason: REASON_OF.fetch(reason) { :"unknown_#{reason}" }
        ).freeze
      end

      # @private
      def message(address)
        get(:message, address).force_encoding("UTF-8").freeze
      end

      private

      def get(field, address)
        Library.call(:"pf_event_#{field}", address)
      end

      def some(value, least)
        value < least ? nil : value
      end

      def worker(address)
        {
          task_id: some(get(:task_id, address), 0), pid: some(get(:pid, address), 1),
          exit_code: some(get(:exit_code, address), 0), signal: some(get(:signal, address), 1)
        }
      end

      def times(address)
        {
          delay: get(:delay_ms, address) / 1e3, uptime: get(:uptime_ms, address) / 1e3,
          time: get(:time_ns, address) / 1e9, user_time: get(:user_us, address) / 1e6,
          system_time: get(:system_us, address) / 1e6
        }
      end
    end
  end

  # What one slot of a pool looks like now.
  #
  # @!attribute task_id
  #   @return [Integer]
  # @!attribute pid
  #   @return [Integer, nil] nil: no process now
  # @!attribute state
  #   @return [Symbol] a key of {Names::STATES}
  # @!attribute restarts
  #   @return [Integer] counted ones
  # @!attribute uptime
  #   @return [Float] seconds
  WorkerInfo = Struct.new(:task_id, :pid, :state, :restarts, :uptime, keyword_init: true)
end
