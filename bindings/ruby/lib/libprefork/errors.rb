# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require "socket"

module Prefork
  # A failure that has no errno.
  class Error < StandardError
    # @return [Integer] the number in prefork.h, such as -4097
    attr_reader :code

    # @private
    def initialize(message = nil, code = 0)
      super(message)
      @code = code
    end
  end

  # Too many restarts, or no worker got ready. The other workers were stopped, none is left.
  class GaveUpError < Error
    # @return [String, nil] the message of the last event about a failure
    attr_reader :last_failure

    # @private
    def initialize(message = nil, code = -4097, last_failure = nil)
      super(message, code)
      @last_failure = last_failure
    end
  end

  # A worker exited with a status of `exit_actions: { status => :fatal }`. All workers were stopped.
  class FatalExitError < Error; end

  # Other Ruby threads run, and the pool has `allow_threads: false`.
  class ThreadsError < Error; end

  # The library's codes as exceptions.
  # @private
  module Errors
    EGAVEUP = -4097
    ETHREADS = -4098
    ERESOLVE = -4099
    EFATAL = -4100
    INT = (-(2**31)...2**31).freeze

    class << self
      # Returns a result that is good, raises for one that is not.
      def check(result, what = nil)
        result.negative? ? raise(error(result, what)) : result
      end

      def error(code, what = nil)
        message = [Library.call(:pf_strerror, code).force_encoding("UTF-8"), what].compact.join(": ")
        case code
        when EGAVEUP then GaveUpError.new(message, code, what)
        when EFATAL then FatalExitError.new(message, code)
        when ETHREADS then ThreadsError.new(message, code)
        when ERESOLVE then SocketError.new(message)
        when -4095..-1 then SystemCallError.new(what&.to_s, -code)
        else Error.new(message, code)
        end
      end

      # For a value that is out of range: names the parameter and what it may be.
      def invalid(name, expected, value)
        Errno::EINVAL.new("#{name} must be #{expected}, not #{value.inspect}")
      end

      def wrong_type(name, expected, value)
        TypeError.new("#{name} must be #{expected}, not #{value.inspect}")
      end

      # A C int. Fiddle would cut what does not fit.
      def integer(name, value, expected = "an Integer of 32 bits")
        raise wrong_type(name, expected, value) unless value.is_a?(Integer)
        raise invalid(name, expected, value) unless INT.cover?(value)

        value
      end

      # A duration as the library has it. Of one that is not 0 something remains.
      def milliseconds(name, value, expected = "a number of seconds, at least 0", whole = value)
        raise wrong_type(name, expected, whole) unless value.is_a?(Numeric) && value.real?
        raise invalid(name, expected, whole) unless value >= 0 && value < 2**50

        ms = (value * 1000).round
        ms.zero? && value.positive? ? 1 : ms
      end

      # A C string.
      def text(name, value, expected = "a String without NUL")
        value = value.to_path if value.respond_to?(:to_path)
        raise wrong_type(name, expected, value) unless value.is_a?(String)
        raise invalid(name, expected, value) if !value.encoding.ascii_compatible? || value.include?("\0")

        value
      end

      # The number of a signal that is named, with or without SIG, or numbered.
      def signal(name, value, expected = "a signal")
        return integer(name, value, expected) if value.is_a?(Integer)
        raise wrong_type(name, expected, value) unless value.is_a?(String) || value.is_a?(Symbol)

        number = value.encoding.ascii_compatible? ? Signal.list.fetch(value.to_s.delete_prefix("SIG"), 0) : 0
        raise invalid(name, expected, value) if number.zero? # Ruby's own "EXIT" too

        number
      end
    end
  end
  private_constant :Errors
end
