// The plain values of base that core uses.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/codes.h"
#include "base/exit.h"
#include "base/time.h"
#include "base/worker_array.h"

namespace prefork::core {

using namespace base;

} // namespace prefork::core
