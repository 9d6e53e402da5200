--- Failures as nil, a message and a number, misuse as an error.
--
-- SPDX-License-Identifier: MIT
local ffi = require("ffi")
local lib = require("prefork.library").lib

local M = {
  --- The library's own numbers, beside those of errno: too many restarts, other threads, the name
  -- of a host that was not found, a worker with a fatal exit status.
  EGAVEUP = -lib.PF_EGAVEUP,
  ETHREADS = -lib.PF_ETHREADS,
  ERESOLVE = -lib.PF_ERESOLVE,
  EFATAL = -lib.PF_EFATAL,
}

--- nil, message, number of a negative code of the library.
function M.failure(code, what)
  local message = ffi.string(lib.pf_strerror(code))
  return nil, what and what .. ": " .. message or message, -code
end

--- The code, or what failure() returns.
function M.check(code, what)
  if code < 0 then
    return M.failure(code, what)
  end
  return code
end

--- true, or what failure() returns.
function M.done(code, what)
  if code < 0 then
    return M.failure(code, what)
  end
  return true
end

local function shown(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local own = debug.getinfo(1, "S").source:gsub("[^/]*$", "")

--- Raise an error where the program called this package.
function M.raise(message)
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and (info.what == "C" or info.source:sub(1, #own) == own) do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  error("prefork: " .. message, info and level or 0)
end

--- Raise an error: a value that nothing can have.
function M.misuse(name, expected, value)
  M.raise(("%s must be %s, not %s"):format(name, expected, shown(value)))
end

--- Check that a value is a whole number in a range, and return it.
function M.integer(name, value, least, most)
  if type(value) ~= "number" or value % 1 ~= 0 or value < least or value > most then
    M.misuse(name, ("a whole number from %d to %d"):format(least, most), value)
  end
  return value
end

--- Check that a value is a string that C can have.
function M.text(name, value)
  if type(value) ~= "string" or value:find("\0", 1, true) then
    M.misuse(name, "a string without NUL", value)
  end
  return value
end

return M
