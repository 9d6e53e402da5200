#!/usr/bin/env python3
"""Makes each call of the library fail in turn, in each scenario, and judges what it promises.

Calls are counted first, in a run of each scenario without a failure. Then each call of each
process fails with each error of errors.txt: its first, second and last use, and from its first
use on. impossible.txt names those that are left out, with reasons.

  SCENARIO=, CALL=, ERRNO=, NTH=first[-last|-], PROCESS=supervisor|child choose; SAMPLE=1 tries
  what fits into 40 s, chosen by SEED=; JOBS= runs at a time; EACH=1
  lets each use fail, not only some; V=1 shows the events.

SPDX-License-Identifier: MIT
"""
import concurrent.futures
import errno
import fnmatch
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ["INJECT_DIR"])
LIBRARY = os.environ["INJECT_LIBRARY"]
TIME_SCALE = int(os.environ.get("TEST_TIME_SCALE") or 1)
SECONDS = 25 * TIME_SCALE  # for one run
SAMPLE_SECONDS = 35
HEAD = struct.Struct("iiII")
ENTRY = struct.Struct("56sII")
MAX_CALLS = 128
FOREVER = 2**32 - 1
PROCESSES = ("supervisor", "child", "all")
EAI = {"EAI_NONAME": -2, "EAI_AGAIN": -3, "EAI_FAIL": -4, "EAI_MEMORY": -10, "EAI_SYSTEM": -11}


def lines(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                yield line.split()


def number(name):
    if name == "0":
        return 0
    return EAI[name] if name in EAI else getattr(errno, name)


ERRORS = {words[0]: words[1:] for words in lines("errors.txt")}
EXCEPTIONS = {words[0]: words[1:] for words in lines("exceptions.txt")}
# Scenario, call, process, error, use: patterns; then the reason.
IMPOSSIBLE = [(words[:5], words[5:]) for words in lines("impossible.txt")]
UNUSED = {words[0]: words[1:] for words in lines("unused.txt")}
SETUPS = {words[0]: words[1:] for words in lines("setups.txt")}


def is_impossible(*words):
    for patterns, _ in IMPOSSIBLE:
        if all(any(fnmatch.fnmatchcase(word, part) for part in pattern.split("|"))
               for word, pattern in zip(words, patterns)):
            return True
    return False


def check_lists():
    """Each function that the library imports is injected, or an exception with a reason."""
    symbols = subprocess.run(["nm", "-D", "--undefined-only", LIBRARY], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.split("\n")
    found = []
    for line in symbols:
        name = line.split()[-1].split("@")[0] if line else None
        if name and name not in ERRORS and name not in EXCEPTIONS:
            found.append(f"{name}: neither in errors.txt nor in exceptions.txt")
    found += [f"{name}: in both lists" for name in ERRORS if name in EXCEPTIONS]
    found += [f"{name}: no reason" for name, reason in EXCEPTIONS.items() if not reason]
    found += [f"{name}: unused, but without a reason" for name in UNUSED if not UNUSED[name]]
    found += [f"{' '.join(patterns)}: no reason" for patterns, reason in IMPOSSIBLE if not reason]
    found += [f"{name}: no error" for name, errors in ERRORS.items() if not errors]
    with open(os.path.join(HERE, "calls.h"), encoding="utf-8") as file:
        text = file.read()
    for name in ERRORS:
        if f"({name.removeprefix('syscall.')}" not in text:
            found.append(f"{name}: not in calls.h")
    return found


def plan_text(plan):
    call, error, first, last, process = plan
    return f"{call} {number(error)} {first} {last} {PROCESSES.index(process)}"


def standing_failures(scenario):
    """Those that a scenario has in each run."""
    for word in SETUPS.get(scenario, []):
        if ":" in word and "=" not in word:
            call, error, process, *uses = word.split(":")
            first, last = uses[0].split("-") if uses else (1, FOREVER)
            yield plan_text((call, error, int(first), int(last), process))


def run_twice(scenario, plan=None):
    """Runs a second time what is broken: other runs at the same time may have taken its."""
    result = run(scenario, plan)
    return run(scenario, plan) if result[0] else result


def run(scenario, plan=None):
    """Returns what is broken, all output, the counts of calls, and how many calls failed."""
    directory = tempfile.mkdtemp(prefix="inject-")
    state = os.path.join(BUILD, f"state-{os.path.basename(directory)}")
    work = os.path.join(directory, "work")
    os.mkdir(work)
    with open(state, "wb") as file:
        file.truncate(HEAD.size + MAX_CALLS * ENTRY.size)
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("PF_", "INJECT_", "LISTEN_", "MAKE", "MFLAGS"))}
    env.update(INJECT_STATE=state, INJECT_PRELOAD=os.path.join(BUILD, "shim.so"),
               TMPDIR=directory)
    env["INJECT_PLAN"] = ";".join([plan_text(plan) if plan else "none 0 0 0 0",
                                   *standing_failures(scenario)])
    if os.environ.get("V") not in (None, "", "0"):
        env["INJECT_VERBOSE"] = "1"
    setup = SETUPS.get(scenario, [])
    env.update(word.replace("{}", work).split("=") for word in setup if "=" in word)
    program, opened = os.path.join(BUILD, "scenarios"), ""
    if "by-descriptor" in setup:
        opened += f" 9<'{program}'"
        program = "/proc/self/fd/9"
    if "program" in setup:
        shutil.copy(program, os.path.join(work, "program"))
        env["LD_LIBRARY_PATH"] = os.path.dirname(os.path.abspath(LIBRARY))
        program = "./program"
    if "fd3" in setup:
        opened += " 3</tmp"
    command = [os.path.join(BUILD, "run"), str(SECONDS), program, scenario]
    if opened:
        command = ["/bin/sh", "-c", f'exec "$@"{opened}', "sh", *command]
    began = time.monotonic()
    result = subprocess.run(command, env=env, cwd=work, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = result.stdout.decode("utf-8", "replace")
    with open(state, "rb") as file:
        data = file.read()
    _, unknown, failed, _ = HEAD.unpack_from(data)
    counts = {}
    for i in range(MAX_CALLS):
        name, *uses = ENTRY.unpack_from(data, HEAD.size + i * ENTRY.size)
        if name.rstrip(b"\0"):
            counts[name.rstrip(b"\0").decode()] = dict(zip(PROCESSES, uses))
    broken = [line for line in output.split("\n") if line.startswith("broken: ")]
    if unknown:
        broken.append(f"broken: the call by number {unknown} is not in errors.txt")
    if result.returncode != 0:
        broken.append(f"broken: the runner ended with {result.returncode}")
    left = [name for name in os.listdir(work)
            if not name.startswith("crashed-") and name not in ("core", "program")
            # A pid file that cannot be removed is empty and names nobody.
            and not (name == "pid" and os.path.getsize(os.path.join(work, name)) == 0)]
    left += [name for name in os.listdir(directory) if name != "work"]
    if left:
        broken.append(f"broken: files are left: {' '.join(left)}")
    os.unlink(state)
    shutil.rmtree(directory, ignore_errors=True)
    return broken, output, counts, failed, time.monotonic() - began


def uses_of(count):
    """The uses that fail: first, second, last, and from the first on."""
    uses = [(1, 1), (1, FOREVER)]
    if os.environ.get("EACH") not in (None, "", "0"):
        return uses + [(use, use) for use in range(2, count + 1)]
    if count > 1:
        uses.append((2, 2))
    if count > 2:
        uses.append((count, count))
    return uses


def nth_text(first, last):
    return str(first) if first == last else f"{first}-"


def make_plans(scenarios, recorded):
    plans, impossible = [], 0
    for scenario in scenarios:
        for call, uses in recorded[scenario].items():
            for process in PROCESSES[:2]:
                if uses[process] == 0:
                    continue
                for error in ERRORS[call]:
                    for first, last in uses_of(uses[process]):
                        if is_impossible(scenario, call, process, error, nth_text(first, last)):
                            impossible += 1
                        else:
                            plans.append((scenario, (call, error, first, last, process)))
    return plans, impossible


def chosen_plans(plans):
    call, error = os.environ.get("CALL"), os.environ.get("ERRNO")
    process, nth = os.environ.get("PROCESS"), os.environ.get("NTH")
    if call and error and process and nth and os.environ.get("SCENARIO"):
        first, dash, last = nth.partition("-")
        last = int(last) if last else FOREVER if dash else int(first)
        return [(os.environ["SCENARIO"], (call, error, int(first), last, process))]
    return [(scenario, plan) for scenario, plan in plans
            if (not call or plan[0] == call) and (not error or plan[1] == error)
            and (not process or plan[4] == process)
            and (not nth or nth_text(plan[2], plan[3]) == nth)]


def command_of(scenario, plan):
    call, error, first, last, process = plan
    return (f"make inject SCENARIO={scenario} CALL={call} ERRNO={error} "
            f"NTH={nth_text(first, last)} PROCESS={process}")


def main():
    began = time.monotonic()
    found = check_lists()
    for line in found:
        print(f"FAILED: {line}")
    names = subprocess.run([os.path.join(BUILD, "scenarios")], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    scenarios = [name for name in names if os.environ.get("SCENARIO", name) == name]
    jobs = int(os.environ.get("JOBS") or 4 * len(os.sched_getaffinity(0)))
    sample = os.environ.get("SAMPLE") not in (None, "", "0")
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(2**32))
    failed, passed, unreached, recorded = len(found), 0, 0, {}
    seen, slow = set(), []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, result in zip(scenarios, pool.map(run_twice, scenarios)):
            broken, output, counts, _, _ = result
            recorded[name] = counts
            seen |= {call for call, uses in counts.items() if sum(uses.values())}
            if broken or "note: " in output:
                failed += 1
                print(f"FAILED: {name}, without a failure of a call:\n{output}", *broken, sep="\n")
        if len(scenarios) == len(names):
            unused = [f"{call}: not used by any scenario, and not in unused.txt"
                      for call in sorted(set(ERRORS) - seen - set(UNUSED))]
            unused += [f"{call}: in unused.txt, but used" for call in sorted(seen & set(UNUSED))]
            failed += len(unused)
            for line in unused:
                print(f"FAILED: {line}")
        plans, impossible = make_plans(scenarios, recorded)
        plans = chosen_plans(plans)
        if sample:
            print(f"SEED={seed}")
            random.Random(seed).shuffle(plans)
        elif len(plans) > 50:  # slow ones of one call are not all at the same time
            random.Random(1).shuffle(plans)
        print(f"{len(plans)} single failures")
        sys.stdout.flush()
        deadline = began + SAMPLE_SECONDS if sample else None

        def attempt(item):
            if deadline and time.monotonic() > deadline:
                return None
            return run_twice(*item)

        for (scenario, plan), result in zip(plans, pool.map(attempt, plans)):
            if result is None:
                continue
            broken, output, _, hits, seconds = result
            if (passed + failed) % 1000 == 999:
                print(f"{passed + failed + 1} done, {time.monotonic() - began:.0f} s")
                sys.stdout.flush()
            slow.append((seconds, command_of(scenario, plan)))
            unreached += hits == 0
            if broken:
                failed += 1
                print(f"FAILED: {command_of(scenario, plan)}", *dict.fromkeys(broken), sep="\n   ")
                sys.stdout.flush()
            else:
                passed += 1
            if os.environ.get("V") not in (None, "", "0"):
                print(output)
    for seconds, command in sorted(slow, reverse=True)[:5]:
        if seconds > 8:
            print(f"slow: {seconds:.1f} s: {command}")
    print(f"{impossible} left out by impossible.txt; {unreached} runs did not reach their call; "
          f"{time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
