// How many processors this process may use.
//
// SPDX-License-Identifier: MIT
#pragma once

namespace prefork::os {

// Those of the affinity, at most the control groups' quota rounded up; at least 1.
int processor_count();

// The processors that the quotas of the process's control groups, as found below the given root
// ("" for the real one), add up to, rounded up; 0 if there is no quota.
int quota_count(const char *root);

} // namespace prefork::os
