--- Run the tests: run.lua [luaunit's arguments]
--
-- SPDX-License-Identifier: MIT
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local lu = require("luaunit")

for _, name in ipairs({ "scenarios", "errors", "hostile", "interface", "pool", "servers" }) do
  local file = io.open(here .. "/test_" .. name .. ".lua")
  if file then
    file:close()
    dofile(here .. "/test_" .. name .. ".lua")
  end
end
os.exit(lu.LuaUnit.run())
