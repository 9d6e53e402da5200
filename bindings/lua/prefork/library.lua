--- The shared library: found, checked, and declared.
--
-- The library is looked for in the environment variable PREFORK_LIBRARY, where the dynamic linker
-- looks, and where pkg-config says.
--
-- SPDX-License-Identifier: MIT
local ffi = require("ffi")
local cdef = require("prefork.cdef")

local SONAME = "libprefork.so.0"
local OLDEST = { 0, 2, 0 }

-- They stay when this module fails to load, and is required again.
if not pcall(ffi.typeof, "pf_pool") then
  ffi.cdef(cdef)
end

local function by_pkg_config()
  local pipe = io.popen("pkg-config --variable=libdir prefork 2>/dev/null")
  local directory = pipe and pipe:read("*l")
  if pipe then
    pipe:close()
  end
  return directory and directory ~= "" and directory .. "/" .. SONAME
end

local function places()
  local named = os.getenv("PREFORK_LIBRARY")
  if named and named ~= "" then
    return { function() return named end }
  end
  return { function() return SONAME end, by_pkg_config }
end

local function open()
  local reasons = {}
  for _, place in ipairs(places()) do
    local path = place()
    if path then
      local is_open, library = pcall(ffi.load, path)
      if is_open then
        return library, path
      end
      reasons[#reasons + 1] = "  " .. path .. ": " .. tostring(library)
    end
  end
  error("prefork: the shared library libprefork was not found:\n"
    .. table.concat(reasons, "\n")
    .. "\nInstall libprefork and run ldconfig, or set PREFORK_LIBRARY to the path of "
    .. SONAME .. ".", 0)
end

local function has(library, name)
  return (pcall(function() return library[name] end))
end

local function is_older(version)
  local place = 1
  for number in version:gmatch("%d+") do
    local oldest = OLDEST[place] or 0
    if tonumber(number) ~= oldest then
      return tonumber(number) < oldest
    end
    place = place + 1
  end
  return false
end

local function too_old(path, version, lacks)
  error(("prefork: the shared library %s has version %s%s; libprefork %s or later is needed.")
    :format(path, version, lacks, table.concat(OLDEST, ".")), 0)
end

--- The names of all functions that are declared.
local function functions()
  local names = {}
  for name in cdef:gmatch("%f[%w_](pf_[%w_]+)%(") do
    names[#names + 1] = name
  end
  return names
end

local function load()
  local library, path = open()
  if not has(library, "pf_version") then
    error("prefork: the shared library " .. path .. " is not libprefork", 0)
  end
  local version = ffi.string(library.pf_version())
  if is_older(version) then
    too_old(path, version, "")
  end
  -- LuaJIT looks for a function at its first use, which may be in a worker.
  for _, name in ipairs(functions()) do
    if not has(library, name) then
      too_old(path, version, " and lacks " .. name)
    end
  end
  return library
end

return { lib = load(), functions = functions, SONAME = SONAME }
