-- SPDX-License-Identifier: MIT
rockspec_format = "3.0"
package = "prefork"
version = "0.2.0-1"
source = {
  -- "luarocks make" uses the directory of this file.
  url = "file://prefork-0.2.0.tar.gz",
}
description = {
  summary = "Supervised pre-fork worker processes",
  detailed = [[
A program becomes a supervisor and a pool of worker processes, which are restarted, reloaded and
stopped, and never left behind: libprefork by the ffi of LuaJIT.]],
  license = "MIT",
  labels = { "process", "fork", "server", "linux" },
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.1, < 5.2", -- LuaJIT
}
build = {
  type = "builtin",
  modules = {
    ["prefork"] = "prefork/init.lua",
    ["prefork.cdef"] = "prefork/cdef.lua",
    ["prefork.control"] = "prefork/control.lua",
    ["prefork.errors"] = "prefork/errors.lua",
    ["prefork.event"] = "prefork/event.lua",
    ["prefork.library"] = "prefork/library.lua",
    ["prefork.names"] = "prefork/names.lua",
    ["prefork.pool"] = "prefork/pool.lua",
    ["prefork.process"] = "prefork/process.lua",
    ["prefork.settings"] = "prefork/settings.lua",
    ["prefork.sockets"] = "prefork/sockets.lua",
    ["prefork.system"] = "prefork/system.lua",
    ["prefork.worker"] = "prefork/worker.lua",
  },
  copy_directories = { "examples" },
}
