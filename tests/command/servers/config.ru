# An application for puma. SPDX-License-Identifier: MIT
run ->(env) { [200, { "content-type" => "text/plain" }, ["good #{Process.pid}\n"]] }
