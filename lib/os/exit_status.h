// How a child ended, also when somebody else has reaped it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/exit.h"

namespace prefork::os {

// Reaps the process behind the pidfd. Returns false if it has not ended yet.
bool collect_exit(int pidfd, base::Exit *ret_exit);

} // namespace prefork::os
