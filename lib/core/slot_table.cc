// SPDX-License-Identifier: MIT
#include "core/slot_table.h"

#include "base/invariant.h"

namespace prefork::core {

void SlotTable::Counts::add(State state) {
    alive += is_alive(state) ? 1U : 0U;
    busy += is_busy(state) ? 1U : 0U;
    under_way += is_under_way(state) ? 1U : 0U;
    running += state == State::running ? 1U : 0U;
    ready += state == State::ready ? 1U : 0U;
    done += state == State::done ? 1U : 0U;
}

void SlotTable::Counts::remove(State state) {
    alive -= is_alive(state) ? 1U : 0U;
    busy -= is_busy(state) ? 1U : 0U;
    under_way -= is_under_way(state) ? 1U : 0U;
    running -= state == State::running ? 1U : 0U;
    ready -= state == State::ready ? 1U : 0U;
    done -= state == State::done ? 1U : 0U;
}

uint32_t SlotTable::find(uint32_t slot, State state) const {
    for (uint32_t instance = 0; instance < instances; instance++) {
        if (slots_[slot].workers[instance].state == state) {
            return instance_of(slot, instance);
        }
    }
    return no_worker;
}

uint32_t SlotTable::find_spare(State state) const {
    uint32_t found = no_worker;
    for (uint32_t place = 0; place < spare_places(); place++) {
        const Worker &spare = spares_[place];
        if (spare.state == state && (found == no_worker || spare.started < worker(found).started)) {
            found = first_spare + place;
        }
    }
    return found;
}

bool SlotTable::is_replacement(uint32_t id) const {
    const State state = state_of(id);
    return id != current(slot_of(id)) && state != State::stopping && state != State::killing &&
           state != State::abandoned;
}

bool SlotTable::has_replacement(uint32_t id) const {
    const uint32_t other = other_instance(id);
    return is_busy(state_of(other)) && is_replacement(other);
}

void SlotTable::set_state(uint32_t id, State state) {
    Worker &changed = worker(id);
    Counts &counts = is_spare(id) ? spare_counts_ : counts_;
    counts.remove(changed.state);
    counts.add(state);
    changed.state = state;
    if (!is_alive(state)) {
        changed.pid = 0;
    }
}

void SlotTable::set_replacing(uint32_t slot, bool replacing) {
    Slot &changed = slots_[slot];
    counts_.replacing -= changed.replacing ? 1U : 0U;
    counts_.replacing += replacing ? 1U : 0U;
    changed.replacing = replacing;
}

void SlotTable::set_stopped(uint32_t slot, bool stopped) {
    Slot &changed = slots_[slot];
    counts_.stopped -= changed.stopped ? 1U : 0U;
    counts_.stopped += stopped ? 1U : 0U;
    changed.stopped = stopped;
}

bool SlotTable::audit() const {
    Counts counted;
    bool good = true;
    for (uint32_t slot = 0; slot < size(); slot++) {
        uint32_t working = 0; // at most one instance of a slot is ready
        for (const Worker &worker : slots_[slot].workers) {
            counted.add(worker.state);
            good = good && is_alive(worker.state) == (worker.pid > 0);
            working += worker.state == State::ready ? 1U : 0U;
        }
        counted.replacing += slots_[slot].replacing ? 1U : 0U;
        counted.stopped += slots_[slot].stopped ? 1U : 0U;
        good = good && working <= 1 && slots_[slot].current < instances;
    }
    Counts spares;
    for (uint32_t place = 0; place < spare_places(); place++) {
        spares.add(spares_[place].state);
        good = good && is_alive(spares_[place].state) == (spares_[place].pid > 0);
    }
    return good && counted == counts_ && spares == spare_counts_;
}

} // namespace prefork::core
