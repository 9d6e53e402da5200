--- The declarations and names of the package agree with those of the installed library.
--
-- SPDX-License-Identifier: MIT
local lu = require("luaunit")
local cdef = require("prefork.cdef")
local library = require("prefork.library")
local names = require("prefork.names")
local prefork = require("prefork")
local settings = require("prefork.settings")
local support = require("support")

TestInterface = {}

-- prefork.json, read as a table of Lua: it has no text with brackets, colons or escapes but types.
local function interface()
  local text = support.read_file(assert(os.getenv("PREFORK_INTERFACE")))
  local strings = {}
  text = text:gsub('"([^"]*)"(%s*:?)', function(string, colon)
    strings[#strings + 1] = string
    local place = ("S[%d]"):format(#strings)
    return colon:find(":", 1, true) and "[" .. place .. "]=" or place
  end)
  -- Lists, but not the brackets that were written above.
  text = text:gsub("S%[(%d+)%]", "S(%1)"):gsub("%[S(%b())%]=", "\1%1\2")
  text = text:gsub("%[", "{"):gsub("%]", "}"):gsub("null", "false")
  text = text:gsub("\1(%b())\2", "[S%1]=")
  return assert(loadstring("local S = ... return " .. text))(function(index)
    return strings[index]
  end)
end

-- C without the spaces that do not matter.
local function plain(text)
  return (text:gsub("%s+", " "):gsub(" ?([*(),;]) ?", "%1"))
end

local function declaration(name, described)
  local parameters = {}
  for index, parameter in ipairs(described.parameters) do
    local kind = parameter.type
    if kind:find("(*)", 1, true) then
      parameters[index] = kind:gsub("%(%*%)", "(*" .. parameter.name .. ")")
    else
      parameters[index] = kind .. " " .. parameter.name
    end
  end
  local list = #parameters > 0 and table.concat(parameters, ", ") or "void"
  return ("%s %s(%s);"):format(described.returns, name, list)
end

function TestInterface:test_each_declaration_is_that_of_the_installed_interface()
  local described = interface()
  local declared = plain(cdef)
  local count = 0
  for name, one in pairs(described.functions) do
    count = count + 1
    lu.assertStrContains(declared, plain(declaration(name, one)))
  end
  lu.assertTrue(count > 90)
  lu.assertEquals(#library.functions(), count)
end

function TestInterface:test_each_constant_is_that_of_the_installed_interface()
  local count = 0
  for name, number in pairs(interface().constants) do
    if name:find("^PF_VERSION") == nil then
      lu.assertEquals(tonumber(library.lib[name]), number, name)
      count = count + 1
    end
  end
  lu.assertTrue(count > 70)
  local _, enumerators = cdef:gsub("PF_[%w_]+ = ", "")
  lu.assertEquals(enumerators, count)
end

function TestInterface:test_each_name_is_that_of_a_constant()
  for prefix, numbers in pairs(names.numbers) do
    local of_interface = {}
    for name, number in pairs(interface().constants) do
      if name:sub(1, #prefix) == prefix then
        of_interface[name:sub(#prefix + 1):lower()] = number
      end
    end
    lu.assertEquals(numbers, of_interface)
  end
end

function TestInterface:test_the_declarations_are_generated_from_the_installed_header()
  local pipe = io.popen(("sh '%s' '%s/prefork.h'"):format(
    assert(os.getenv("PREFORK_GENERATE")), assert(os.getenv("PREFORK_INCLUDE"))))
  local text = pipe:read("*a")
  pipe:close()
  lu.assertEquals(assert(loadstring(text))(), cdef)
end

-- What the package does not use of the library, and why: bindings/README.md has the table.
local UNUSED = {
  pf_set_event_callback = true, -- events are read, no Lua runs inside a call of C
  pf_pool_set_event_callback = true,
  pf_pool_set_worker_fn = true,
  pf_pool_set_thread_policy = true, -- LuaJIT has no threads
  pf_version_number = true, -- library_version
}

function TestInterface:test_each_function_is_used_or_named_as_unused()
  local text = {}
  for _, name in ipairs({ "control", "errors", "event", "init", "library", "pool", "process",
                          "settings", "sockets", "worker" }) do
    text[#text + 1] = support.read_file(assert(package.searchpath("prefork." .. name, package.path)))
  end
  text = table.concat(text)
  local is_setting = {}
  for _, name in ipairs(settings.all()) do
    is_setting["pf_pool_set_" .. name] = true
  end
  local unused = {}
  for name in pairs(interface().functions) do
    if not text:find("[%p](" .. name .. ")%f[^%w_]") and not is_setting[name] then
      unused[name] = true
    end
  end
  lu.assertEquals(unused, UNUSED)
end

function TestInterface:test_each_setting_is_described()
  local text = support.read_file(assert(package.searchpath("prefork", package.path)))
  for _, name in ipairs(settings.all()) do
    lu.assertStrContains(text, "  * `" .. name .. "`")
  end
end

function TestInterface:test_each_type_of_event_is_described()
  local ffi = require("ffi")
  local text = support.read_file(assert(package.searchpath("prefork.event", package.path)))
  for name, number in pairs(interface().constants) do
    if name:find("^PF_EVENT_") and name ~= "PF_EVENT_FORK_WANTED" then
      local type_name = ffi.string(library.lib.pf_event_type_name(number))
      lu.assertStrContains(text, '"' .. type_name .. '"')
    end
  end
end

function TestInterface:test_the_versions_agree()
  lu.assertEquals(prefork.VERSION, interface().version)
  lu.assertEquals(library.SONAME, interface().soname)
  lu.assertEquals(prefork.library_version(), interface().version)
end
