// What pool and workers tell each other, over the simulated world.
//
// SPDX-License-Identifier: MIT
#include "host.h"
#include "model.h"
#include "os/cells.h"
#include "violation.h"
#include "witness.h"
#include "world.h"

using sim::host;
using sim::model;
using sim::world;

namespace prefork::os {

namespace {

Cell no_cell; // a worker has its share in the world
Notice notice_of_all;

} // namespace

Cells::~Cells() {}

int Cells::open(uint32_t workers_max, bool /*for_exec*/) {
    cells_ = &no_cell;
    notice_ = &notice_of_all;
    notice_of_all.unheard.store(0);
    count_ = workers_max;
    return 0;
}

void Cells::reset(uint32_t worker) { world.shares[worker] = sim::Share{}; }

bool Cells::is_ready(uint32_t worker) const {
    const bool ready = world.shares[worker].ready;
    const sim::Process &process = world.seats[worker];
    if (ready) {
        sim::require(process.pid == 0 || process.said_ready, "stale-share",
                     "what another worker has said is taken for a new one's word");
        model.said_ready(worker);
    }
    if (world.looking_at_all && worker + 1 == host.capacity()) {
        world.looking_at_all = false;
        model.no_more_words();
    }
    return ready;
}

uint32_t Cells::beats(uint32_t worker) const {
    const sim::Process &process = world.seats[worker];
    if (process.pid != 0 && !process.ended && !process.hung && world.all_beat) {
        world.beat(worker);
    }
    model.looked(worker, world.shares[worker].beats);
    return world.shares[worker].beats;
}

void Cells::ask_to_stop(uint32_t worker) {
    model.told_to_stop(worker);
    sim::witness.asked(worker, model.can_change(), model.slots());
}

bool Cells::take_word(uint32_t *ret_worker) const {
    model.settle();
    if (!world.words.empty()) {
        *ret_worker = world.words.front();
        world.words.erase(world.words.begin());
        return true;
    }
    notice_of_all.unheard.store(world.unheard ? 1 : 0);
    world.looking_at_all = world.unheard;
    if (!world.unheard) {
        model.no_more_words();
    }
    world.unheard = false;
    return false;
}

void Cells::disown() {}

} // namespace prefork::os
