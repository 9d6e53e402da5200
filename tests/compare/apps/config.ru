# frozen_string_literal: true

# SPDX-License-Identifier: MIT
require_relative "app"

run App.method(:call)
