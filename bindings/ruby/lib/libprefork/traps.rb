# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # The signals that Ruby handles itself from its start, while pools want them. The library gets the other ones
  # (TTIN, TTOU, WINCH) itself. A signal that the program has trapped or ignores is left to the program.
  # @private
  module Traps
    STANDARD = %w[HUP INT QUIT TERM USR1 USR2].freeze
    STOP_ONLY = %w[HUP INT QUIT TERM].freeze

    @pools = [].freeze
    @previous = {}

    class << self
      # Hands the signals on to the pool. The method of the pool is called by the handler.
      def add(pool, names)
        @pools = [*@pools, [pool, names]].freeze
        (names - @previous.keys).each { |name| install(name) }
      end

      def remove(pool)
        return unless @pools.any? { |member, _| member.equal?(pool) }

        @pools = @pools.reject { |member, _| member.equal?(pool) }.freeze
        wanted = @pools.flat_map(&:last)
        (@previous.keys - wanted).each { |name| trap(name, @previous.delete(name)) }
      end

      # In a worker: the handlers of the program again.
      def reset
        @pools = [].freeze
        @previous.each { |name, handler| trap(name, handler) }
        @previous = {}
      end

      # Whether the signal reaches the pools by this module.
      def include?(number)
        @previous.key?(Signal.signame(number))
      end

      private

      def install(name)
        previous = trap(name) { |number| receive(name, number) }
        if %w[DEFAULT SYSTEM_DEFAULT].include?(previous)
          @previous[name] = previous
        else
          trap(name, previous)
        end
      end

      def receive(name, number)
        @pools.each { |pool, names| pool.__send__(:receive_signal, number) if names.include?(name) }
      end
    end
  end
  private_constant :Traps
end
