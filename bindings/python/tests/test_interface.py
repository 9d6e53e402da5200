# SPDX-License-Identifier: MIT
"""The prototypes and constants of the package agree with those of the installed library."""

import json
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_uint32, c_uint64, c_void_p

import prefork
import pytest
from prefork._library import OLDEST, PROTOTYPES, SONAME

TYPES = {
    "int": c_int,
    "int32_t": c_int32,
    "uint32_t": c_uint32,
    "uint64_t": c_uint64,
    "const char *": c_char_p,
    "int *": POINTER(c_int),
    # Handles, events and callbacks are plain addresses.
    "void *": c_void_p,
    "pf_pool *": c_void_p,
    "const pf_pool *": c_void_p,
    "const pf_event *": c_void_p,
    "pf_pool **": POINTER(c_void_p),
    "const pf_event **": POINTER(c_void_p),
}

ENUMS = {
    "PF_EVENT_": prefork.EventType,
    "PF_RESTART_": prefork.RestartPolicy,
    "PF_LIMIT_": prefork.LimitAction,
    "PF_EXIT_": prefork.ExitAction,
    "PF_SIGNALS_": prefork.Signals,
    "PF_RELOAD_": prefork.ReloadOrder,
    "PF_BACKEND_": prefork.Backend,
    "PF_WORKER_": prefork.WorkerState,
    "PF_REAP_": prefork.ReapOrphans,
}


@pytest.fixture(scope="module")
def interface():
    with open(os.environ["PREFORK_INTERFACE"], encoding="utf-8") as file:
        return json.load(file)


def test_each_prototype_is_that_of_the_header(interface):
    functions = interface["functions"]
    assert len(PROTOTYPES) > 60
    for name, (result, parameters) in PROTOTYPES.items():
        described = functions[name]
        assert result is TYPES[described["returns"]], name
        types = [TYPES[parameter["type"]] for parameter in described["parameters"]]
        assert list(parameters) == types, name


def test_each_constant_is_that_of_the_header(interface):
    constants = interface["constants"]
    for prefix, enum in ENUMS.items():
        of_header = {
            name[len(prefix) :]: number
            for name, number in constants.items()
            if name.startswith(prefix)
        }
        of_package = {member.name: int(member) for member in enum}
        if prefix == "PF_REAP_":
            assert of_package.pop("NONE") == 0
        assert of_package == of_header, enum
    assert prefork.UNLIMITED == constants["PF_UNLIMITED"]


def test_the_versions_agree(interface):
    assert interface["version"] == prefork.__version__
    assert tuple(map(int, interface["version"].split("."))) >= OLDEST
    assert interface["soname"] == SONAME
