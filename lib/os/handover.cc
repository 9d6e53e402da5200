// SPDX-License-Identifier: MIT
#include "os/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "os/activation.h"
#include "os/strings.h"

namespace prefork::os {

namespace {

constexpr size_t numbers_size = 64; // of all in front of a name
constexpr char name_unknown[] = "unknown";
constexpr char name_bound[] = "bound";

bool read_field(const char **text, int32_t *ret_number) {
    if (**text != ':') {
        return false;
    }
    *text += 1;
    *ret_number = read_number(text);
    return true;
}

int take_set(const char **text, int first, int32_t count) {
    int descriptors[bound_sockets_max];
    char name[NI_MAXHOST];
    int32_t port = 0;
    int32_t family = 0;
    int32_t flags = 0;
    int32_t length = 0;
    if (count < 0 || count > static_cast<int32_t>(bound_sockets_max) || !read_field(text, &port) ||
        !read_field(text, &family) || !read_field(text, &flags) || !read_field(text, &length) ||
        **text != ':' || length < 0 || length >= NI_MAXHOST) {
        return -EINVAL;
    }
    const auto size = static_cast<size_t>(length);
    *text += 1;
    if (strnlen(*text, size) != size) {
        return -EINVAL;
    }
    memcpy(name, *text, size);
    name[size] = '\0';
    *text += size;
    for (int index = 0; index < count; index++) {
        descriptors[index] = first + index;
        if (!keep_from_children(descriptors[index])) {
            return -EBADF;
        }
    }
    return note_handed_on({name, port, family, static_cast<uint32_t>(flags)},
                          std::span(descriptors).first(static_cast<size_t>(count)));
}

int take_names(const char *text, int descriptor, Belongings *belongings) {
    while (*text == ':') {
        char name[256];
        const size_t length = strcspn(++text, ":");
        if (length >= sizeof(name)) {
            return -EINVAL;
        }
        memcpy(name, text, length);
        name[length] = '\0';
        if (int r = belongings->add(name, descriptor); r < 0) {
            return r;
        }
        (void)keep_from_children(descriptor++); // it is open: it has just been looked at
        text += length;
    }
    return *text == '\0' ? 0 : -EINVAL;
}

} // namespace

bool keep_from_children(int descriptor) { return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0; }

// As systemd has named them, if it has.
bool Handover::note_passed_names(size_t count) {
    const char *names = secure_getenv(variable_listen_names);
    names = names == nullptr ? "" : names;
    if (!passed_names_.allocate(strlen(names) + 1 + count * sizeof(name_unknown))) {
        return false;
    }
    char *place = &passed_names_[0];
    for (size_t index = 0; index < count; index++) {
        const size_t length = strcspn(names, ":");
        memcpy(place, length > 0 ? names : name_unknown,
               length > 0 ? length : strlen(name_unknown));
        place += strlen(place) + 1;
        names += names[length] == ':' ? length + 1 : length;
    }
    return true;
}

int Handover::open(const Belongings *belongings) {
    const int passed = passed_descriptor_count();
    const auto passed_max = static_cast<size_t>(passed > 0 ? passed : 0);
    belongings_ = belongings;
    free_sets(sockets_);
    sockets_ = nullptr;
    if (int r = copy_bound_sets(&sockets_); r < 0) {
        return r;
    }
    if (!note_passed_names(passed_max)) {
        return -ENOMEM;
    }
    size_t count = passed_max + belongings->count();
    size_t variable_size = 2 * numbers_size + belongings->names_length();
    size_t names_size = numbers_size + belongings->names_length() + passed_names_.size();
    for (const BoundSet *set = sockets_; set != nullptr; set = set->next) {
        count += set->sockets.size();
        variable_size += numbers_size + strlen(set->key.name);
        names_size += set->sockets.size() * sizeof(name_bound);
    }
    return descriptors_.allocate(count) && variable_.allocate(variable_size) &&
                   listen_names_.allocate(names_size)
               ? 0
               : -ENOMEM;
}

void Handover::give(int descriptor, const char *name, base::Text *names) {
    names->add(count_ == 0 ? "" : ":").add(name);
    descriptors_[count_++] = descriptor;
}

int Handover::prepare() {
    base::Text text(&variable_[0], variable_.size());
    base::Text names(&listen_names_[0], listen_names_.size());
    const int passed = check_passed_descriptors();
    const char *name = &passed_names_[0];
    count_ = 0;
    text.add(variable_descriptors).add("=").add(int64_t{first_passed_descriptor});
    text.add(":").add(int64_t{passed});
    names.add(variable_listen_names).add("=");
    for (int index = 0; index < passed; index++) {
        give(first_passed_descriptor + index, name, &names);
        name += strlen(name) + 1;
    }
    for (const BoundSet *set = sockets_; set != nullptr; set = set->next) {
        const SocketKey &key = set->key;
        const uint32_t before = count_;
        for (const OpenFile &socket : set->sockets) {
            if (is_still_open(socket)) {
                give(socket.descriptor, name_bound, &names);
            }
        }
        if (count_ > before) {
            for (const int64_t number :
                 {int64_t{count_ - before}, int64_t{key.port}, int64_t{key.family},
                  int64_t{key.flags}, static_cast<int64_t>(strlen(key.name))}) {
                text.add(":").add(number);
            }
            text.add(":").add(key.name);
        }
    }
    text.add(":0");
    for (uint32_t index = 0; index < belongings_->count(); index++) {
        if (!is_still_open(belongings_->file(index))) {
            return -EBADF;
        }
        give(belongings_->file(index).descriptor, belongings_->name(index), &names);
        text.add(":").add(belongings_->name(index));
    }
    return 0;
}

int take_descriptors(const char *text, Belongings *belongings) {
    int32_t descriptor = read_number(&text);
    int32_t passed = 0;
    if (descriptor < 0 || !read_field(&text, &passed)) {
        return -EINVAL;
    }
    set_passed_descriptors(passed);
    for (int32_t index = 0; index < passed; index++) {
        if (!keep_from_children(descriptor++)) {
            return -EBADF;
        }
    }
    for (;;) {
        int32_t count = 0;
        if (!read_field(&text, &count)) {
            return -EINVAL;
        }
        if (count == 0) {
            return take_names(text, descriptor, belongings);
        }
        if (int r = take_set(&text, descriptor, count); r < 0) {
            return r;
        }
        descriptor += count;
    }
}

} // namespace prefork::os
