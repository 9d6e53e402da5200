// SPDX-License-Identifier: MIT
#include "fake_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/auxv.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "fake_state.h"
#include "input.h"

namespace fuzz {

FakeState fake;

namespace {

constexpr int first_descriptor = 3;
constexpr int descriptors_end = 1 << 20;
constexpr uint64_t fake_device = 77;

void fill_status(const FakeDescriptor &descriptor, struct stat *ret_status) {
    *ret_status = {};
    ret_status->st_dev = fake_device;
    ret_status->st_ino = descriptor.file;
    ret_status->st_nlink = descriptor.is_directory ? 4 : 1;
    ret_status->st_mode = descriptor.is_directory ? S_IFDIR : S_IFREG;
    if (descriptor.is_socket || descriptor.is_host) {
        ret_status->st_mode = S_IFSOCK;
    }
}

bool is_directory(const std::string &path) {
    const auto next = fake.files.lower_bound(path + "/");
    return next != fake.files.end() && next->first.compare(0, path.size() + 1, path + "/") == 0;
}

// As getdents64(2) writes it.
struct Entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[1];
};

std::string entries_of(const std::string &path) {
    std::vector<std::string> names = {".", ".."};
    const std::string below = path + "/";
    for (auto file = fake.files.lower_bound(below); file != fake.files.end(); ++file) {
        if (file->first.compare(0, below.size(), below) != 0) {
            break;
        }
        const std::string name =
            file->first.substr(below.size(), file->first.find('/', below.size()) - below.size());
        if (names.back() != name) {
            names.push_back(name);
        }
    }
    std::string text;
    for (const std::string &name : names) {
        Entry entry{1, 0, 0, DT_DIR, ""};
        const size_t size = (offsetof(Entry, name) + name.size() + 1 + 7) / 8 * 8;
        entry.length = static_cast<uint16_t>(size);
        std::string bytes(size, '\0');
        memcpy(bytes.data(), &entry, offsetof(Entry, name));
        name.copy(&bytes[offsetof(Entry, name)], name.size());
        text += bytes;
    }
    return text;
}

} // namespace

FakeDescriptor *find_fake(int descriptor) {
    const auto found = fake.descriptors.find(descriptor);
    return found == fake.descriptors.end() ? nullptr : &found->second;
}

int fail_fake(int error) {
    errno = error;
    return -1;
}

int new_fake(int first) {
    int number = std::max(first, first_descriptor);
    while (find_fake(number) != nullptr) {
        number += 1;
    }
    FakeDescriptor &descriptor = fake.descriptors[number];
    descriptor.file = ++fake.last_file;
    descriptor.flags = FD_CLOEXEC;
    return number;
}

FakeSystem::FakeSystem() { fake.active = true; }

FakeSystem::~FakeSystem() {
    const size_t left = own_descriptors();
    const uint64_t last_file = fake.last_file; // no file is ever the same as one of another run
    fake = FakeState{};
    fake.last_file = last_file;
    EXPECT(left == 0);
}

void FakeSystem::put_file(std::string path, std::string_view text) {
    fake.files[std::move(path)] = text;
}

void FakeSystem::put_link(std::string path, std::string_view target) {
    fake.links[std::move(path)] = target;
}

bool FakeSystem::has_file(const std::string &path) {
    return fake.files.find(path) != fake.files.end();
}

std::string_view FakeSystem::text_of(const std::string &path) {
    const auto found = fake.files.find(path);
    return found == fake.files.end() ? std::string_view() : std::string_view(found->second);
}

void FakeSystem::set_read_size(size_t bytes) { fake.read_size = bytes; }

void FakeSystem::open_host_fd(int descriptor, bool listens) {
    FakeDescriptor &opened = fake.descriptors[descriptor];
    opened = {};
    opened.is_host = true;
    opened.listens = listens;
    opened.file = ++fake.last_file;
}

void FakeSystem::close_host_fd(int descriptor) { fake.descriptors.erase(descriptor); }

void FakeSystem::copy_host_fd(int from, int to) {
    FakeDescriptor copy = fake.descriptors[from];
    copy.is_host = true;
    copy.flags = 0;
    fake.descriptors[to] = copy;
}

int FakeSystem::flags_of(int descriptor) {
    const FakeDescriptor *found = find_fake(descriptor);
    return found == nullptr ? -1 : found->flags;
}

uint64_t FakeSystem::file_of(int descriptor) {
    const FakeDescriptor *found = find_fake(descriptor);
    return found == nullptr ? 0 : found->file;
}

size_t FakeSystem::own_descriptors() {
    return static_cast<size_t>(
        std::count_if(fake.descriptors.begin(), fake.descriptors.end(),
                      [](const auto &entry) { return !entry.second.is_host; }));
}

const std::vector<std::string> &FakeSystem::opened() { return fake.opened; }

void FakeSystem::forget_opened() { fake.opened.clear(); }

void FakeSystem::set_secure(bool secure) { fake.secure = secure; }

} // namespace fuzz

// ---- The calls --------------------------------------------------------------------------------

using fuzz::fail_fake;
using fuzz::fake;
using fuzz::FakeDescriptor;
using fuzz::find_fake;

// Reads arguments that a caller may have left out.
#define ANY_ARGUMENTS __attribute__((no_sanitize_address))

extern "C" {

int __real_open64(const char *path, int flags, ...);
int __real_close(int descriptor);
ssize_t __real_read(int descriptor, void *buffer, size_t size);
ssize_t __real_readlink(const char *path, char *buffer, size_t size);
int __real_fcntl64(int descriptor, int command, ...);
int __real_fstat64(int descriptor, struct stat *ret_status);
int __real_stat64(const char *path, struct stat *ret_status);
int __real_fstatfs64(int descriptor, struct statfs *ret_status);
int __real_statfs64(const char *path, struct statfs *ret_status);
int __real_access(const char *path, int mode);
unsigned long __real_getauxval(unsigned long type);
long __real_syscall(long number, ...);
int __real_waitid(idtype_t type, id_t id, siginfo_t *info, int options);

int __wrap_open64(const char *path, int flags, ...);
int __wrap_close(int descriptor);
ssize_t __wrap_read(int descriptor, void *buffer, size_t size);
ssize_t __wrap_readlink(const char *path, char *buffer, size_t size);
int __wrap_fcntl64(int descriptor, int command, ...);
int __wrap_fstat64(int descriptor, struct stat *ret_status);
int __wrap_stat64(const char *path, struct stat *ret_status);
int __wrap_fstatfs64(int descriptor, struct statfs *ret_status);
int __wrap_statfs64(const char *path, struct statfs *ret_status);
int __wrap_access(const char *path, int mode);
unsigned long __wrap_getauxval(unsigned long type);
long __wrap_syscall(long number, ...);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options);

ANY_ARGUMENTS int __wrap_open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const int mode = va_arg(arguments, int);
    va_end(arguments);
    if (!fake.active) {
        return __real_open64(path, flags, mode);
    }
    fake.opened.emplace_back(path);
    EXPECT((flags & O_CLOEXEC) != 0);
    const auto file = fake.files.find(path);
    const bool directory = (flags & O_DIRECTORY) != 0;
    if (directory ? !fuzz::is_directory(path) : file == fake.files.end()) {
        return fail_fake(ENOENT);
    }
    const int descriptor = fuzz::new_fake(0);
    FakeDescriptor &opened = fake.descriptors[descriptor];
    opened.is_directory = directory;
    opened.text = directory ? fuzz::entries_of(path) : file->second;
    return descriptor;
}

int __wrap_close(int descriptor) {
    if (!fake.active) {
        return __real_close(descriptor);
    }
    const FakeDescriptor *found = find_fake(descriptor);
    EXPECT(found != nullptr && !found->is_host); // the library closes its own, and once
    fake.descriptors.erase(descriptor);
    return 0;
}

ssize_t __wrap_read(int descriptor, void *buffer, size_t size) {
    if (!fake.active) {
        const bool is_limited = fake.read_size != 0 && fake.read_size < size;
        return __real_read(descriptor, buffer, is_limited ? fake.read_size : size);
    }
    FakeDescriptor *found = find_fake(descriptor);
    if (found == nullptr) {
        return fail_fake(EBADF);
    }
    size_t length = std::min(size, found->text.size() - found->position);
    length = fake.read_size == 0 ? length : std::min(length, fake.read_size);
    memcpy(buffer, found->text.data() + found->position, length);
    found->position += length;
    return static_cast<ssize_t>(length);
}

ssize_t __wrap_readlink(const char *path, char *buffer, size_t size) {
    if (!fake.active) {
        return __real_readlink(path, buffer, size);
    }
    const auto link = fake.links.find(path);
    if (link == fake.links.end()) {
        return fail_fake(ENOENT);
    }
    return static_cast<ssize_t>(link->second.copy(buffer, size));
}

ANY_ARGUMENTS int __wrap_fcntl64(int descriptor, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!fake.active) {
        return __real_fcntl64(descriptor, command, argument);
    }
    FakeDescriptor *found = find_fake(descriptor);
    if (found == nullptr) {
        return fail_fake(EBADF);
    }
    switch (command) {
    case F_GETFD:
        return found->flags;
    case F_SETFD:
        found->flags = static_cast<int>(reinterpret_cast<intptr_t>(argument));
        return 0;
    case F_GETFL:
        return O_RDWR;
    case F_SETFL:
        EXPECT(found->listens);
        return 0;
    default:
        return fail_fake(EINVAL);
    }
}

int __wrap_fstat64(int descriptor, struct stat *ret_status) {
    if (!fake.active) {
        return __real_fstat64(descriptor, ret_status);
    }
    const FakeDescriptor *found = find_fake(descriptor);
    if (found == nullptr) {
        return fail_fake(EBADF);
    }
    fuzz::fill_status(*found, ret_status);
    return 0;
}

int __wrap_stat64(const char *path, struct stat *ret_status) {
    if (!fake.active) {
        return __real_stat64(path, ret_status);
    }
    const bool directory = fuzz::is_directory(path);
    if (!directory && fake.files.find(path) == fake.files.end()) {
        return fail_fake(ENOENT);
    }
    FakeDescriptor found;
    found.is_directory = directory;
    fuzz::fill_status(found, ret_status);
    return 0;
}

int __wrap_fstatfs64(int descriptor, struct statfs *ret_status) {
    if (!fake.active) {
        return __real_fstatfs64(descriptor, ret_status);
    }
    ret_status->f_type = PROC_SUPER_MAGIC;
    return find_fake(descriptor) == nullptr ? fail_fake(EBADF) : 0;
}

int __wrap_statfs64(const char *path, struct statfs *ret_status) {
    if (!fake.active) {
        return __real_statfs64(path, ret_status);
    }
    ret_status->f_type = PROC_SUPER_MAGIC;
    return 0;
}

int __wrap_access(const char *path, int mode) {
    if (!fake.active) {
        return __real_access(path, mode);
    }
    return fake.files.find(path) == fake.files.end() ? fail_fake(ENOENT) : 0;
}

unsigned long __wrap_getauxval(unsigned long type) {
    if (fake.active && type == AT_SECURE) {
        return fake.secure ? 1 : 0;
    }
    return __real_getauxval(type);
}

ANY_ARGUMENTS long __wrap_syscall(long number, ...) {
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (long &argument : arguments) {
        argument = va_arg(list, long);
    }
    va_end(list);
    if (fake.active && number == SYS_getdents64) {
        const auto descriptor = static_cast<int>(arguments[0]);
        void *buffer = reinterpret_cast<void *>(arguments[1]);
        const size_t chunk = std::exchange(fake.read_size, 0); // never a part of an entry
        const ssize_t length = __wrap_read(descriptor, buffer, static_cast<size_t>(arguments[2]));
        fake.read_size = chunk;
        return length;
    }
    if (fake.active && number == SYS_pidfd_open) {
        return fail_fake(ENOSYS); // then /proc is read
    }
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                          arguments[4], arguments[5]);
}

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
    return fake.active ? fail_fake(ENOSYS) : __real_waitid(type, id, info, options);
}

} // extern "C"
