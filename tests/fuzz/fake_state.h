// The state behind the system calls of fake_system.h.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fuzz {

struct FakeDescriptor {
    uint64_t file = 0;
    int flags = 0;
    bool is_host = false;
    bool listens = false;
    bool is_directory = false;
    bool is_socket = false;
    std::string text;
    size_t position = 0;
};

struct FakeState {
    bool active = false;
    bool secure = false;
    size_t read_size = 0;
    uint64_t last_file = 0;
    std::map<std::string, std::string, std::less<>> files;
    std::map<std::string, std::string, std::less<>> links;
    std::map<int, FakeDescriptor> descriptors;
    std::vector<std::string> opened;
};

extern FakeState fake;

FakeDescriptor *find_fake(int descriptor);
// The lowest number that is free, from the given one on.
int new_fake(int first);
int fail_fake(int error);

} // namespace fuzz
