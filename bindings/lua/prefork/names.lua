--- The constants of prefork.h as names: PF_RESTART_ALWAYS is "always" of "PF_RESTART_".
--
-- SPDX-License-Identifier: MIT
local cdef = require("prefork.cdef")

local PREFIXES = {
  "PF_REASON_", "PF_RESTART_", "PF_LIMIT_", "PF_EXIT_", "PF_RELOAD_", "PF_SIGNALS_", "PF_BACKEND_",
  "PF_REAP_", "PF_GROUP_", "PF_WORKER_", "PF_COUNT_",
}

local M = { numbers = {}, names = {} }

for _, prefix in ipairs(PREFIXES) do
  local numbers, names = {}, {}
  for name, number in cdef:gmatch("%f[%w_]" .. prefix .. "([%w_]+) = (%-?%d+)") do
    numbers[name:lower()] = tonumber(number)
    names[tonumber(number)] = name:lower()
  end
  M.numbers[prefix] = numbers
  M.names[prefix] = names
end

--- The name of a number; the number itself if this version does not know it; nil for "none".
function M.name_of(prefix, number)
  local name = M.names[prefix][number] or number
  if name ~= "none" then
    return name
  end
end

--- All names of a prefix, in the order of their numbers, for messages.
function M.list(prefix)
  local list = {}
  for name in pairs(M.numbers[prefix]) do
    list[#list + 1] = name
  end
  table.sort(list, function(one, other)
    return M.numbers[prefix][one] < M.numbers[prefix][other]
  end)
  return '"' .. table.concat(list, '", "') .. '"'
end

return M
