// SPDX-License-Identifier: MIT
#include "os/spawn/inherited_fds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/net/activation.h"

namespace prefork::os {

namespace {

constexpr size_t numbers_size = 64; // of all in front of a name
constexpr char name_unknown[] = "unknown";
constexpr char name_bound[] = "bound";

} // namespace

// As systemd has named them, if it has.
bool InheritedFds::note_passed_names(size_t count) {
    const char *names = secure_getenv(variable_listen_names);
    names = names == nullptr ? "" : names;
    if (!passed_names_.allocate(strlen(names) + 1 + count * sizeof(name_unknown))) {
        return false;
    }
    char *position = &passed_names_[0];
    for (size_t index = 0; index < count; index++) {
        const size_t length = strcspn(names, ":");
        memcpy(position, length > 0 ? names : name_unknown,
               length > 0 ? length : strlen(name_unknown));
        position += strlen(position) + 1;
        names += names[length] == ':' ? length + 1 : length;
    }
    return true;
}

int InheritedFds::open(const WorkerResources *resources) {
    const int passed = passed_descriptor_count();
    const auto passed_max = static_cast<size_t>(passed > 0 ? passed : 0);
    resources_ = resources;
    free_sets(sockets_);
    sockets_ = nullptr;
    if (int r = copy_bound_sets(&sockets_); r < 0) {
        return r;
    }
    if (!note_passed_names(passed_max)) {
        return -ENOMEM;
    }
    size_t count = passed_max + resources->count();
    size_t variable_size = 2 * numbers_size + resources->names_length();
    size_t names_size = numbers_size + resources->names_length() + passed_names_.size();
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

void InheritedFds::give(int descriptor, const char *name, base::Text *names) {
    names->add(count_ == 0 ? "" : ":").add(name);
    descriptors_[count_++] = descriptor;
}

int InheritedFds::prepare() {
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
        for (const BorrowedFd &socket : set->sockets) {
            if (socket.is_still_open()) {
                give(socket.get(), name_bound, &names);
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
    for (uint32_t index = 0; index < resources_->count(); index++) {
        if (!resources_->fd(index).is_still_open()) {
            return -EBADF;
        }
        give(resources_->fd(index).get(), resources_->name(index), &names);
        text.add(":").add(resources_->name(index));
    }
    return 0;
}

} // namespace prefork::os
