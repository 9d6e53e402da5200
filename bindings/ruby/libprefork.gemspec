# SPDX-License-Identifier: MIT
# frozen_string_literal: true

require_relative "lib/libprefork/version"

Gem::Specification.new do |spec|
  spec.name = "libprefork"
  spec.version = Prefork::VERSION
  spec.summary = "Supervised pre-fork worker processes"
  spec.description = "Starts worker processes that share listening sockets, restarts those that fail, replaces " \
                     "all without losing a request, and leaves none behind. Uses the C library libprefork by Fiddle."
  spec.authors = ["The libprefork authors"]
  spec.homepage = "https://libprefork.invalid" # the one line to change when the project has a home
  spec.license = "MIT"
  spec.metadata = { "rubygems_mfa_required" => "true" }
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir["lib/**/*.rb", "examples/*", "README.md", "LICENSE", ".yardopts", base: __dir__]
  spec.add_dependency "fiddle", "~> 1.0", ">= 1.0.8"
end
