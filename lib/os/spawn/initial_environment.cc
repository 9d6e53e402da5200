// SPDX-License-Identifier: MIT
#include "os/spawn/initial_environment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/fd/descriptor.h"

namespace prefork::os {

int InitialEnvironment::read() {
    const int result = read_from_proc();
    return result < 0 ? read_from_stack() : 0;
}

int InitialEnvironment::read_from_proc() {
    Descriptor file;
    if (int r = file.adopt(open("/proc/self/environ", O_RDONLY | O_CLOEXEC)); r < 0) {
        return r;
    }
    length_ = 0;
    for (;;) {
        constexpr size_t growth = 4096;
        // One byte more than is read: the last variable is ended whatever it has.
        if (length_ + 1 >= text_.size() && !text_.grow(2 * text_.size() + growth)) {
            length_ = 0;
            return -ENOMEM;
        }
        const ssize_t count = ::read(file.get(), &text_[length_], text_.size() - length_ - 1);
        if (count == 0) {
            return 0;
        }
        if (count < 0 && errno != EINTR) {
            length_ = 0;
            return -errno;
        }
        length_ += count > 0 ? static_cast<size_t>(count) : 0;
    }
}

// A program with more rights than its caller may not read that file. The kernel writes the
// arguments and the environment below the name of the program, which the auxiliary vector points
// to, and above the random bytes, which it points to as well. An argument passes for a variable
// here.
int InitialEnvironment::read_from_stack() {
    constexpr size_t random_size = 16;
    constexpr size_t length_max = size_t{8} << 20; // the kernel takes 6 MiB of both
    const uintptr_t first = getauxval(AT_RANDOM) + random_size;
    const uintptr_t end = getauxval(AT_EXECFN);
    if (first == random_size || end <= first || end - first > length_max) {
        return -ENOENT;
    }
    base::Array<char> text;
    if (!text.allocate(end - first + 1)) {
        return -ENOMEM;
    }
    // The host may have replaced its stack: then this fails, and a plain read would crash.
    const iovec from = {reinterpret_cast<void *>(first), end - first};
    const iovec to = {&text[0], end - first};
    const ssize_t count = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    if (count < 0) {
        return -errno;
    }
    length_ = static_cast<size_t>(count);
    text_.swap(text);
    return 0;
}

const char *InitialEnvironment::find(const char *name) const {
    const size_t name_length = strlen(name);
    size_t position = 0;
    while (position < length_) {
        const char *variable = &text_[position];
        if (strncmp(variable, name, name_length) == 0 && variable[name_length] == '=') {
            return variable + name_length + 1;
        }
        position += strlen(variable) + 1;
    }
    return nullptr;
}

} // namespace prefork::os
