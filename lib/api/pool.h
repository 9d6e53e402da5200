// What a pool handle points to.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/pool.h"

namespace prefork::api {

// A value of the host's and what it wants called when the library no longer needs it.
struct HostData {
    void *user = nullptr;
    void (*free_user)(void *) = nullptr;

    void release() {
        if (free_user != nullptr) {
            free_user(user);
        }
        *this = HostData{};
    }
};

enum class Stage : uint8_t { settings, running, ended };

} // namespace prefork::api

struct pf_pool {
    static constexpr size_t name_max = 64;

    int32_t owner = 0;
    prefork::api::Stage stage = prefork::api::Stage::settings;
    bool working = false;       // inside run or dispatch
    bool pulled = false;        // events wait for pf_pool_next_event
    bool chose_workers = false; // else: as many as there are processors
    bool allow_threads = false;
    int result = 0; // at the end
    prefork::runtime::PoolOptions options;
    prefork::api::HostData event_data;
    prefork::api::HostData worker_data;
    prefork::runtime::Pool pool;
    pf_event event; // the last that pf_pool_next_event gave
    char name[name_max] = "";
};
