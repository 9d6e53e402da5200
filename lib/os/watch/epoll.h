// What an epoll knows of a descriptor.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

// Chooses the events and the number that come with a registered descriptor. Returns whether it is
// the one that was registered: the epoll knows it together with its file. Where nobody may look it
// is believed to be so.
bool set_registered(int epoll, int descriptor, uint32_t events, uint32_t number);

} // namespace prefork::os
