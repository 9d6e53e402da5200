# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require "fiddle"

module Prefork
  # The shared library: where it is found, and its functions as Fiddle declares them.
  # @private
  module Library
    SONAME = "libprefork.so.0"
    OLDEST = [0, 2, 0].freeze

    TYPES = {
      int: Fiddle::TYPE_INT,
      int32: Fiddle::TYPE_INT32_T,
      uint32: -Fiddle::TYPE_INT32_T,
      uint64: -Fiddle::TYPE_INT64_T,
      string: Fiddle::TYPE_CONST_STRING,
      pointer: Fiddle::TYPE_VOIDP
    }.freeze

    POOL = %i[pointer].freeze
    POOL_INT = %i[pointer int].freeze
    POOL_TIME = %i[pointer uint64].freeze
    POOL_TIMES = %i[pointer uint64 uint64].freeze

    # name => [result, parameters...], as in prefork.h. Handles, events and arrays are plain addresses.
    PROTOTYPES = {
      pf_version: [:string],
      pf_strerror: %i[string int],
      pf_task_id: [:int],
      pf_cpu_count: [:int],
      pf_die_of_signal: %i[int int],
      pf_pool_new: %i[int pointer],
      pf_pool_free: [:pointer, *POOL],
      pf_pool_set_name: %i[int pointer string],
      pf_pool_set_workers: [:int, *POOL_INT],
      pf_pool_set_restart_policy: [:int, *POOL_INT],
      pf_pool_set_max_restarts: [:int, *POOL_INT],
      pf_pool_set_restart_window: %i[int pointer int uint64],
      pf_pool_set_backoff: [:int, *POOL_TIMES],
      pf_pool_set_boot_limit: [:int, *POOL_INT],
      pf_pool_set_limit_action: [:int, *POOL_INT],
      pf_pool_set_stop: %i[int pointer int uint64],
      pf_pool_set_exit_action: %i[int pointer int int],
      pf_pool_set_ready_timeout: [:int, *POOL_TIME],
      pf_pool_set_min_uptime: [:int, *POOL_TIME],
      pf_pool_set_heartbeat_timeout: [:int, *POOL_TIME],
      pf_pool_set_lifetime: [:int, *POOL_TIMES],
      pf_pool_set_reload_order: [:int, *POOL_INT],
      pf_pool_set_replace_width: [:int, *POOL_INT],
      pf_pool_set_signals: [:int, *POOL_INT],
      pf_pool_set_stop_fd: [:int, *POOL_INT],
      pf_pool_set_process_groups: [:int, *POOL_INT],
      pf_pool_set_parent_death_signal: [:int, *POOL_INT],
      pf_pool_set_reap_orphans: [:int, *POOL_INT],
      pf_pool_set_manager_notify: [:int, *POOL_INT],
      pf_pool_set_backend: [:int, *POOL_INT],
      pf_pool_set_host_fork: [:int, *POOL_INT],
      pf_pool_set_spares: [:int, *POOL_INT],
      pf_pool_set_foreign_workers: [:int, *POOL_INT],
      pf_pool_set_exec: %i[int pointer string pointer pointer],
      pf_pool_add_fd: %i[int pointer string int],
      pf_pool_run: %i[int pointer pointer],
      pf_pool_start: [:int, *POOL],
      pf_pool_fd: [:int, *POOL],
      pf_pool_dispatch: [:int, *POOL_INT],
      pf_pool_next_event: %i[int pointer pointer],
      pf_pool_fork_prepare: [:int, *POOL_INT],
      pf_pool_fork_parent: %i[int pointer int int32],
      pf_pool_fork_child: [:int, *POOL_INT],
      pf_pool_stop: [:int, *POOL],
      pf_pool_kill: [:int, *POOL],
      pf_pool_wake: [:int, *POOL],
      pf_pool_handle_signal: [:int, *POOL_INT],
      pf_pool_reload: [:int, *POOL],
      pf_pool_resize: [:int, *POOL_INT],
      pf_pool_replace_worker: [:int, *POOL_INT],
      pf_pool_stop_worker: [:int, *POOL_INT],
      pf_pool_send_signal: %i[int pointer int int],
      pf_pool_worker_count: [:int, *POOL],
      pf_pool_alive_count: [:int, *POOL],
      pf_pool_worker_pid: [:int32, *POOL_INT],
      pf_pool_worker_state: [:int, *POOL_INT],
      pf_pool_worker_restarts: [:int, *POOL_INT],
      pf_pool_worker_uptime_ms: [:uint64, *POOL_INT],
      pf_pool_counter: [:uint64, *POOL_INT],
      pf_pool_stop_signal: [:int, *POOL],
      pf_event_type: [:int, *POOL],
      pf_event_level: [:int, *POOL],
      pf_event_message: [:string, *POOL],
      pf_event_task_id: [:int, *POOL],
      pf_event_pid: [:int32, *POOL],
      pf_event_exit_code: [:int, *POOL],
      pf_event_signal: [:int, *POOL],
      pf_event_core_dumped: [:int, *POOL],
      pf_event_will_restart: [:int, *POOL],
      pf_event_error: [:int, *POOL],
      pf_event_restarts: [:int, *POOL],
      pf_event_worker_count: [:int, *POOL],
      pf_event_reason: [:int, *POOL],
      pf_event_delay_ms: [:uint64, *POOL],
      pf_event_uptime_ms: [:uint64, *POOL],
      pf_event_time_ns: [:uint64, *POOL],
      pf_event_user_us: [:uint64, *POOL],
      pf_event_system_us: [:uint64, *POOL],
      pf_event_max_rss_kib: [:uint64, *POOL],
      pf_worker_ready: [:int],
      pf_worker_retire: [:int],
      pf_worker_heartbeat: [:int],
      pf_worker_stop_fd: [:int],
      pf_worker_fd: %i[int string],
      pf_worker_pool_name: [:string],
      pf_bind_sockets: %i[int string int int int uint32 pointer int],
      pf_bind_unix_socket: %i[int string uint32 int],
      pf_listen_fds: %i[int pointer int],
      pf_upgrade: %i[int string pointer pointer]
    }.freeze

    class << self
      # The path or name that the library was loaded by.
      attr_reader :path

      # Calls a function. Another thread may run only during those of {WAITING}. Addresses become numbers here: Fiddle
      # would do it by Integer(), which drops the exception of a signal that comes in it. A closed pool has no address.
      def call(name, *arguments)
        arguments[0] = Fiddle::NULL if arguments[0].nil? && name.start_with?("pf_pool_")
        arguments.map! { |argument| argument.is_a?(Fiddle::Pointer) ? argument.to_i : argument }
        FUNCTIONS[name].call(*arguments)
      end

      def load_functions
        handle = open_library
        version = function(handle, :pf_version, [:string])&.call
        raise LoadError, "prefork: the shared library #{path} is not libprefork" unless version

        too_old(version) if (version.scan(/\d+/).map(&:to_i) <=> OLDEST).negative?
        functions = PROTOTYPES.to_h do |name, types|
          [name, function(handle, name, types) || too_old("#{version} and lacks #{name}")]
        end
        functions[:wait] = function(handle, :pf_pool_dispatch, PROTOTYPES[:pf_pool_dispatch], need_gvl: false)
        functions.freeze
      end

      private

      # Who says where it is means that one.
      def places
        told = ENV.fetch("PREFORK_LIBRARY", "")
        return [told] unless told.empty?

        [SONAME, told_by_pkg_config].compact
      end

      def told_by_pkg_config
        directory = IO.popen(%w[pkg-config --variable=libdir prefork], err: File::NULL, &:read).strip
        File.join(directory, SONAME) unless directory.empty?
      rescue SystemCallError
        nil
      end

      def open_library
        reasons = places.map do |place|
          handle = Fiddle::Handle.new(place)
          @path = place
          return handle
        rescue Fiddle::DLError => e
          "  #{place}: #{e.message}"
        end
        raise LoadError, "prefork: the shared library libprefork was not found:\n#{reasons.join("\n")}\n" \
                         "Install libprefork and run ldconfig, or set PREFORK_LIBRARY to the path of #{SONAME}."
      end

      # Calls hold the interpreter's lock by default, so that neither another thread runs nor a handler raises
      # between the call and its result.
      def function(handle, name, types, need_gvl: !WAITING.include?(name))
        result, *parameters = types.map { |type| TYPES.fetch(type) }
        parameters.map! { |type| type == Fiddle::TYPE_VOIDP ? Fiddle::TYPE_UINTPTR_T : type }
        Fiddle::Function.new(handle[name.to_s], parameters, result, name: name.to_s, need_gvl: need_gvl)
      rescue Fiddle::DLError
        nil
      end

      def too_old(version)
        raise LoadError, "prefork: the shared library #{path} has version #{version}; " \
                         "libprefork #{OLDEST.join('.')} or later is needed."
      end
    end

    # Functions that may take time. What they return is asked for again if a signal handler raises.
    WAITING = %i[pf_pool_free pf_pool_run pf_bind_sockets].freeze
    FUNCTIONS = load_functions
  end
  private_constant :Library
end
