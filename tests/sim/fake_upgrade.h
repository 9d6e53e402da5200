// What the simulated supervisor has handed over last.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "os/upgrade/handed_over.h"
#include "violation.h"

namespace sim {

struct HandedOver {
    prefork::os::UpgradePool header{};
    std::vector<prefork::os::UpgradeWorker> workers;
    std::vector<prefork::os::UpgradeProcess> spares;
    std::vector<unsigned char> policy;

    void clear();
    // As the new program finds it.
    prefork::os::HandedPool *pool();

  private:
    prefork::os::HandedPool pool_{};
};

extern HandedOver handed_over;

} // namespace sim
