/// @file prefork.hpp
/// Supervised pre-fork worker processes for C++17 and later, over the C interface of libprefork.
///
/// Header only; it needs the shared library, by find_package(prefork) or pkg-config. A worker is a
/// lambda, a pool is a move-only object, events are a range, and failures are std::system_error.
/// Each function that can fail, but for Pool::worker(), Pool::fork_worker(), should_stop() and
/// wait_for_stop(), has an overload with a std::error_code& in the manner of std::filesystem;
/// prefork::attempt() makes a std::expected of it, where there is one.
///
/// prefork(7) has the concepts, and the section 3 pages have the details of each function.
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_HPP
#define PREFORK_HPP

#if __cplusplus < 201703L
#error "prefork.hpp needs C++17"
#endif
#if !defined(__cpp_exceptions)
#error "prefork.hpp needs exceptions; without them use the functions of prefork.h"
#endif

#include <prefork/error.hpp>
#include <prefork/event.hpp>
#include <prefork/events.hpp>
#include <prefork/pool.hpp>
#include <prefork/process.hpp>
#include <prefork/settings.hpp>
#include <prefork/socket.hpp>
#include <prefork/worker.hpp>

#endif
