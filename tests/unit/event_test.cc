// What is said of an event.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include "prefork.h"
#include "runtime/event.h"

using namespace prefork;

namespace {

pf_event restart_after(core::Duration delay) {
    core::Event value;
    value.type = core::EventType::exited;
    value.task_id = 3;
    value.pid = 42;
    value.exit.kind = core::Exit::Kind::exited;
    value.exit.code = 1;
    value.will_restart = true;
    value.delay = delay;
    pf_event event;
    runtime::set_event(value, &event);
    return event;
}

void delay_is_reported_in_whole_milliseconds_and_never_as_none(void **) {
    const pf_event none = restart_after(0);
    const pf_event short_one = restart_after(1);
    const pf_event longer = restart_after(2 * core::millisecond + 1);
    const pf_event whole = restart_after(2 * core::millisecond);

    assert_string_equal(runtime::message_of(none),
                        "child 3 (pid 42) exited with status 1, restarting");
    assert_int_equal(pf_event_delay_ms(&none), 0);
    assert_string_equal(runtime::message_of(short_one),
                        "child 3 (pid 42) exited with status 1, restarting in 1 ms");
    assert_int_equal(pf_event_delay_ms(&short_one), 1);
    assert_int_equal(pf_event_delay_ms(&longer), 3);
    assert_int_equal(pf_event_delay_ms(&whole), 2);
}

void a_kill_for_lack_of_memory_is_added_to_the_line(void **) {
    core::Event value = restart_after(core::millisecond).value;
    value.exit.kind = core::Exit::Kind::signaled;
    value.exit.code = base::signal_kill;
    value.reason = core::Reason::out_of_memory;
    pf_event event;
    runtime::set_event(value, &event);

    assert_string_equal(runtime::message_of(event),
                        "child 3 (pid 42) killed by signal 9, restarting in 1 ms; the kernel has "
                        "killed for lack of memory");
    assert_int_equal(pf_event_reason(&event), PF_REASON_OUT_OF_MEMORY);
}

const CMUnitTest tests_of_event[] = {
    cmocka_unit_test(a_kill_for_lack_of_memory_is_added_to_the_line),
    cmocka_unit_test(delay_is_reported_in_whole_milliseconds_and_never_as_none),
};

} // namespace

int main() { return cmocka_run_group_tests_name("event", tests_of_event, nullptr, nullptr); }
