// SPDX-License-Identifier: MIT
#include "os/spawn/process_identity.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <unistd.h>

namespace prefork::os {

namespace {

using Place = std::atomic<ProcessIdentity *>;
static_assert(sizeof(Place) == sizeof(void *) && Place::is_always_lock_free);

// Where all copies look, and what this one found there; nullptr: nowhere.
Place *place = nullptr;
ProcessIdentity *found = nullptr;

// At the top of the stack of the first thread the kernel leaves a word that is 0, behind the name
// of the program, which the auxiliary vector points to. Whatever name space a copy is in, it finds
// the word. A forked child has a copy of it, and an executed program a new one.
Place *find_place() {
    constexpr uintptr_t word_size_max = 16;
    const auto *name = reinterpret_cast<const char *>(getauxval(AT_EXECFN));
    const uintptr_t page_size = getauxval(AT_PAGESZ);
    if (name == nullptr || page_size == 0) {
        return nullptr;
    }
    const uintptr_t begin = reinterpret_cast<uintptr_t>(name) + strlen(name) + 1;
    const uintptr_t end = (begin + page_size - 1) / page_size * page_size;
    // Where a loader has laid the stack out in another way, this is not its end.
    if (end - begin < sizeof(Place) || end - begin > word_size_max) {
        return nullptr;
    }
    return reinterpret_cast<Place *>(end - sizeof(Place));
}

// Whatever stands there, to look at it must not crash the host.
bool is_identity(const ProcessIdentity *identity) {
    uint64_t layout = 0;
    const iovec from = {const_cast<ProcessIdentity *>(identity), sizeof(layout)};
    const iovec to = {&layout, sizeof(layout)};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof(layout) &&
           layout == ProcessIdentity::layout_number;
}

} // namespace

void publish_identity(ProcessIdentity *own) {
    place = find_place();
    found = nullptr;
    if (place == nullptr || place->compare_exchange_strong(found, own)) {
        found = own;
    } else if (!is_identity(found)) {
        place = nullptr;
    }
    if (place != nullptr) {
        found->copies.fetch_add(1);
    }
}

void withdraw_identity(ProcessIdentity *own) {
    if (ProcessIdentity *published = published_identity(); published != nullptr) {
        published->copies.fetch_sub(1);
    }
    if (place != nullptr) {
        place->compare_exchange_strong(own, nullptr);
    }
}

// The copy that it belongs to may be gone, and who writes the title of a process may write too far.
ProcessIdentity *published_identity() {
    return place != nullptr && place->load() == found ? found : nullptr;
}

bool has_other_copies() {
    const ProcessIdentity *published = published_identity();
    return published != nullptr && published->copies > 1;
}

} // namespace prefork::os
