// SPDX-License-Identifier: MIT
#include "os/channel/key_page.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/process/random.h"

namespace prefork::os {

namespace {

size_t page_size() {
    const long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? static_cast<size_t>(size) : 4096;
}

} // namespace

KeyPage::~KeyPage() {
    if (key_ != nullptr) {
        munmap(key_, page_size());
    }
}

int KeyPage::open() {
    const SipKey key = {{random_seed(), random_seed()}};
    return open(key);
}

int KeyPage::open(const SipKey &key) {
    void *memory =
        mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    // If this is refused, a worker can read the key and send records of its siblings. It could kill
    // them as well: to refuse the pool would protect nobody.
    (void)madvise(memory, page_size(), MADV_DONTFORK);
    key_ = static_cast<SipKey *>(memory);
    *key_ = key;
    return 0;
}

} // namespace prefork::os
