// System calls in the place of the real ones while an input is run: files, links and descriptors
// that are not there. A program is linked with --wrap for each of the calls; see part.mk.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

namespace fuzz {

class FakeSystem {
  public:
    // From here on the calls are answered here, until the object is destroyed. Descriptors that
    // are open then, other than those of the host, are an error.
    FakeSystem();
    ~FakeSystem();
    FakeSystem(const FakeSystem &) = delete;
    FakeSystem &operator=(const FakeSystem &) = delete;

    // Everything below the path of a file is ENOENT unless it is put there.
    static void put_file(std::string path, std::string_view text);
    static void put_link(std::string path, std::string_view target);

    static bool has_file(const std::string &path);
    static std::string_view text_of(const std::string &path); // "" without a file

    // read() returns at most so many bytes at a time; 0: as many as it can. Holds for the real
    // call as well.
    static void set_read_size(size_t bytes);

    // A descriptor of the host, with a file of its own.
    static void open_host_fd(int descriptor, bool listens = false);
    static void close_host_fd(int descriptor);
    // Another one that refers to the same file.
    static void copy_host_fd(int from, int to);
    // -1: it is not open.
    static int flags_of(int descriptor);
    static uint64_t file_of(int descriptor);
    // How many descriptors are open that are not the host's.
    static size_t own_descriptors();

    // The paths that were opened, or asked for in vain, in order.
    static const std::vector<std::string> &opened();
    static void forget_opened();

    // The value of AT_SECURE.
    static void set_secure(bool secure);
};

} // namespace fuzz
