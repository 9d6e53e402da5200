// What stands for a library that is too old: its version, and nothing of now.
//
// SPDX-License-Identifier: MIT
extern "C" int pf_version_number();
extern "C" const char *pf_version();

int pf_version_number() { return 100; }
const char *pf_version() { return "0.1.0"; }
