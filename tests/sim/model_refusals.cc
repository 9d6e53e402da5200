// SIGKILL that could not be sent.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "model.h"

namespace sim {

namespace base = prefork::base;

void Model::kill_refused(uint32_t worker) {
    constexpr uint32_t attempts = 4;
    Life &life = life_of(worker);
    if (life.refusals == 0 && (life.told_now || !life.kill_told)) {
        core::Event event = event_of(EventType::unresponsive, Level::error, task_of(worker));
        event.pid = life.pid;
        event.reason = life.why;
        event.signal = 9;
        event.error = -EPERM;
        const auto is_wrong = [&](const Told &told) {
            const EventType type = told.event.type;
            return told.event.pid == life.pid &&
                   (type == EventType::killed || type == EventType::unresponsive);
        };
        const auto wrong = std::find_if(
            events_.rbegin(), events_.rend() - static_cast<ptrdiff_t>(first_event_), is_wrong);
        if (life.told_now) {
            event.time = wrong->event.time;
            wrong->event = event;
        } else {
            tell(event);
        }
    }
    life.told_now = false;
    life.refusals = std::min(life.refusals + 1, attempts);
    if (phase_ == Phase::stopping && life.refusals == attempts) {
        life.stage = Stage::left;
        (base::is_spare(worker) ? spares_left_ : left_) += 1;
    } else {
        life.deadline = base::after(world.clock, second);
    }
    deadline_known_ = false;
    conclude();
}

} // namespace sim
