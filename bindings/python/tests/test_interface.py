# SPDX-License-Identifier: MIT
"""The prototypes and constants of the package agree with those of the installed library."""

import inspect
import json
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_uint32, c_uint64, c_void_p

import prefork
import pytest
from prefork import _errors
from prefork._fork import TASK_SPARE
from prefork._library import OLDEST, PROTOTYPES, SONAME

TYPES = {
    "int": c_int,
    "int32_t": c_int32,
    "uint32_t": c_uint32,
    "uint64_t": c_uint64,
    "const char *": c_char_p,
    "int *": POINTER(c_int),
    "const char *const *": POINTER(c_char_p),
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
    "PF_GROUP_": prefork.ProcessGroups,
    "PF_REASON_": prefork.Reason,
    "PF_COUNT_": prefork.Counter,
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
        if prefix in ("PF_REAP_", "PF_GROUP_"):
            assert of_package.pop("NONE") == 0
        assert of_package == of_header, enum
    assert prefork.UNLIMITED == constants["PF_UNLIMITED"]
    assert TASK_SPARE == constants["PF_TASK_SPARE"]
    for name in ("EGAVEUP", "ETHREADS", "ERESOLVE", "EFATAL"):
        number = getattr(_errors, name)
        assert number == constants["PF_" + name]


# What the package does not use of the library, and why: bindings/README.md has the table.
UNUSED = {
    "pf_fork_processes",  # os.fork makes the workers
    "pf_set_event_callback",
    "pf_pool_set_event_callback",
    "pf_pool_set_worker_fn",
    "pf_pool_set_thread_policy",
    "pf_accept",  # socket.accept does the same
    "pf_version_number",
    "pf_event_type_name",
}


def test_each_function_is_used_or_named_as_unused(interface):
    assert set(interface["functions"]) - set(PROTOTYPES) == UNUSED


def test_each_setting_is_a_parameter_that_is_described(interface):
    parameters = set(inspect.signature(prefork.Pool).parameters) - {"target"}
    for parameter in parameters:
        assert f"``{parameter}``" in prefork.Pool.__doc__, parameter
    settings = {
        name[len("pf_pool_set_") :]
        for name in set(PROTOTYPES)
        if name.startswith("pf_pool_set_")
    }
    renamed = {"stop": "stop_signal", "exit_action": "exit_actions", "foreign_workers": "foreign"}
    for setting in settings - {"host_fork"}:
        assert renamed.get(setting, setting) in parameters, setting


def test_a_pool_has_no_public_name_but_these():
    assert [name for name in dir(prefork.Pool) if not name.startswith("_")] == [
        "alive_count",
        "close",
        "counter",
        "counters",
        "fileno",
        "handle_signal",
        "is_done",
        "kill",
        "poll",
        "reload",
        "replace_worker",
        "resize",
        "run",
        "run_worker",
        "send_signal",
        "set_exec",
        "set_spares",
        "start",
        "stop",
        "stop_worker",
        "stopped_by",
        "upgrade",
        "wake",
        "worker",
        "worker_count",
        "workers",
    ]
    with prefork.Pool(lambda task: 0, 1) as pool:
        assert [name for name in vars(pool) if not name.startswith("_")] == []


def test_the_versions_agree(interface):
    assert interface["version"] == prefork.__version__
    assert tuple(map(int, interface["version"].split("."))) >= OLDEST
    assert interface["soname"] == SONAME
