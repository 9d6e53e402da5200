// What pool and workers tell each other is not simulated: no worker says that it is ready or beats.
//
// SPDX-License-Identifier: MIT
#include "os/cells.h"

namespace prefork::os {

namespace {

Cell silent_cell;
Notice silent_notice;

} // namespace

Cells::~Cells() {}

int Cells::open(uint32_t workers_max, bool /*for_exec*/) {
    cells_ = &silent_cell;
    notice_ = &silent_notice;
    count_ = workers_max;
    return 0;
}

void Cells::reset(uint32_t /*worker*/) {}
bool Cells::is_ready(uint32_t /*worker*/) const { return false; }
uint32_t Cells::beats(uint32_t /*worker*/) const { return 0; }
void Cells::ask_to_stop(uint32_t /*worker*/) {}
bool Cells::take_word(uint32_t * /*ret_worker*/) const { return false; }
void Cells::disown() {}

} // namespace prefork::os
