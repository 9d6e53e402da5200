// SPDX-License-Identifier: MIT
#include "os/spawn/adopt_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>

#include "base/number.h"
#include "os/net/activation.h"
#include "os/net/bound_sockets.h"

namespace prefork::os {

namespace {

constexpr int32_t errno_max = 4095;
constexpr size_t descriptor_name_size = 256; // with its zero byte

bool is_open(int descriptor) { return fcntl(descriptor, F_GETFD) >= 0; }

bool read_field(const char **text, int32_t min, int32_t max, int32_t *ret_number) {
    const char *position = *text;
    if (*position++ != ':' || !base::parse_number(&position, min, max, ret_number)) {
        return false;
    }
    *text = position;
    return true;
}

// One set of sockets.
struct Set {
    int32_t count = 0; // 0: there is no other set
    int32_t port = 0;
    int32_t family = 0;
    int32_t flags = 0;
    int32_t length = 0;
    char name[NI_MAXHOST];
};

// Goes through the text, and through the descriptors that it lists.
class Reader {
  public:
    explicit Reader(const char *text) : text_(text) {}

    // The number of the next descriptor. All before it are open, so it is in bounds.
    [[nodiscard]] int descriptor() const { return descriptor_; }

    // Each returns 0 or a negative errno.
    int read_passed(int32_t *ret_passed);
    int read_set(Set *ret_set);
    // The name is empty behind the last one.
    int read_name(char (&name)[descriptor_name_size]);

  private:
    int pass(int32_t count);

    const char *text_;
    int descriptor_ = 0;
};

int Reader::pass(int32_t count) {
    for (; count > 0; count--) {
        if (!is_open(descriptor_)) {
            return -EBADF;
        }
        descriptor_ += 1;
    }
    return 0;
}

int Reader::read_passed(int32_t *ret_passed) {
    if (!base::parse_number(&text_, 0, INT32_MAX, &descriptor_) ||
        !read_field(&text_, -errno_max, INT32_MAX, ret_passed) ||
        (*ret_passed > 0 && descriptor_ != first_passed_descriptor)) {
        return -EINVAL;
    }
    return pass(*ret_passed);
}

int Reader::read_set(Set *ret_set) {
    constexpr int32_t port_max = 65535;
    if (!read_field(&text_, 0, static_cast<int32_t>(bound_sockets_max), &ret_set->count)) {
        return -EINVAL;
    }
    if (ret_set->count == 0) {
        return 0;
    }
    if (!read_field(&text_, 0, port_max, &ret_set->port) ||
        !read_field(&text_, 0, INT32_MAX, &ret_set->family) ||
        !read_field(&text_, 0, INT32_MAX, &ret_set->flags) ||
        !read_field(&text_, 0, NI_MAXHOST - 1, &ret_set->length) || *text_++ != ':') {
        return -EINVAL;
    }
    const auto size = static_cast<size_t>(ret_set->length);
    if (strnlen(text_, size) != size) {
        return -EINVAL;
    }
    memcpy(ret_set->name, text_, size);
    ret_set->name[size] = '\0';
    text_ += size;
    return pass(ret_set->count);
}

int Reader::read_name(char (&name)[descriptor_name_size]) {
    name[0] = '\0';
    if (*text_ == '\0') {
        return 0;
    }
    if (*text_++ != ':') {
        return -EINVAL;
    }
    const size_t length = strcspn(text_, ":");
    if (length == 0 || length >= sizeof(name)) {
        return -EINVAL;
    }
    memcpy(name, text_, length);
    name[length] = '\0';
    text_ += length;
    return pass(1);
}

// Whether the whole text can be adopted: 0 or a negative errno. Changes nothing else than a list of
// names that is the caller's to throw away.
int check_descriptors(const char *text, WorkerResources *resources) {
    Reader reader(text);
    int32_t passed = 0;
    int result = reader.read_passed(&passed);
    Set set;
    do {
        result = result < 0 ? result : reader.read_set(&set);
    } while (result == 0 && set.count > 0);
    char name[descriptor_name_size] = "";
    do {
        const int descriptor = reader.descriptor();
        result = result < 0 ? result : reader.read_name(name);
        if (result == 0 && name[0] != '\0') {
            result = resources->add(name, descriptor);
        }
    } while (result == 0 && name[0] != '\0');
    return result;
}

int note_set(const Set &set, int first) {
    int descriptors[bound_sockets_max];
    for (int index = 0; index < set.count; index++) {
        descriptors[index] = first + index;
    }
    return note_handed_on({set.name, set.port, set.family, static_cast<uint32_t>(set.flags)},
                          std::span(descriptors).first(static_cast<size_t>(set.count)));
}

} // namespace

bool keep_from_children(int descriptor) { return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0; }

int adopt_inherited_fds(const char *text, WorkerResources *resources) {
    if (int r = check_descriptors(text, resources); r < 0) {
        return r;
    }
    Reader reader(text);
    int32_t passed = 0;
    Set set;
    int result = reader.read_passed(&passed);
    const int first_of_all = reader.descriptor() - (passed > 0 ? passed : 0);
    set_passed_descriptors(passed);
    do {
        const int first = reader.descriptor();
        result = result < 0 ? result : reader.read_set(&set);
        result = result < 0 || set.count == 0 ? result : note_set(set, first);
    } while (result == 0 && set.count > 0);
    const int end = reader.descriptor() + static_cast<int>(resources->count());
    for (int descriptor = first_of_all; descriptor < end; descriptor++) {
        (void)keep_from_children(descriptor); // it is open
    }
    return result;
}

} // namespace prefork::os
