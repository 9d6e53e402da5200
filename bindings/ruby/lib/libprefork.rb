# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "libprefork/version"
require_relative "libprefork/library"
require_relative "libprefork/errors"
require_relative "libprefork/event"
require_relative "libprefork/settings"
require_relative "libprefork/traps"
require_relative "libprefork/control"
require_relative "libprefork/forks"
require_relative "libprefork/pool"
require_relative "libprefork/worker"
require_relative "libprefork/sockets"
require_relative "libprefork/process"

# Supervised pre-fork worker processes, by the C library libprefork.
#
# A {Pool} starts workers that share what was opened before, above all listening sockets. The module functions
# {Prefork.ready}, {Prefork.stopping?} and others are for the workers. All durations are in seconds.
#
#     Prefork::Pool.new(workers: 4).run { |task| serve(listener) }
#
# A failure is a SystemCallError with the errno of the library (`Errno::EINVAL`, `Errno::ECHILD`, ...), or a
# {Prefork::Error} for what has no errno. A value of a wrong type is a TypeError, and an unknown name an ArgumentError.
module Prefork
end
