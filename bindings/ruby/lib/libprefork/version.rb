# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # The version of this package.
  VERSION = "0.2.0"
end
