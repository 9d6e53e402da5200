// SPDX-License-Identifier: MIT
#include "os/upgrade/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <initializer_list>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/fd/pipe_write.h"
#include "os/net/activation.h"
#include "os/net/bound_sockets.h"
#include "os/process/process_id.h"
#include "os/service/daemon.h"

namespace prefork::os {

namespace {

#ifndef MFD_NOEXEC_SEAL
constexpr unsigned int memfd_noexec_seal = 8; // Linux 6.3
#else
constexpr unsigned int memfd_noexec_seal = MFD_NOEXEC_SEAL;
#endif

int create_memfd(unsigned int flags) {
    return static_cast<int>(
        syscall(SYS_memfd_create, "prefork-upgrade", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
}

// Where that is refused, a file without a name in memory.
int create_file() {
    int file = create_memfd(memfd_noexec_seal);
    if (file < 0 && errno == EINVAL) {
        file = create_memfd(0);
    }
    if (file < 0 && errno != EMFILE && errno != ENFILE) {
        const int error = errno;
        file = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
        errno = file < 0 ? error : errno;
    }
    return file;
}

uint64_t bits_of(const sigset_t &mask) {
    constexpr int last_signal = 64;
    uint64_t bits = 0;
    for (int signal = 1; signal <= last_signal; signal++) {
        bits |= sigismember(&mask, signal) == 1 ? uint64_t{1} << (signal - 1) : 0;
    }
    return bits;
}

} // namespace

template <typename Value>
void UpgradeWriter::append(base::Array<Value> *array, size_t *size, const Value *values,
                           size_t count) {
    constexpr size_t size_min = 64;
    const size_t wanted = *size + count;
    if (wanted > array->size() && !array->grow(2 * wanted > size_min ? 2 * wanted : size_min)) {
        failure_ = -ENOMEM;
        return;
    }
    if (count > 0) {
        memcpy(&(*array)[*size], values, count * sizeof(Value));
    }
    *size = wanted;
}

void UpgradeWriter::open(const sigset_t &mask) {
    facts_.mask = bits_of(mask);
    facts_.pid_file = -1;
    if (const BorrowedFd *file = own_pid_file(); file != nullptr && file->is_still_open()) {
        facts_.pid_file = file->get();
        add_descriptor(facts_.pid_file);
    }
    facts_.is_daemon = is_daemon() ? 1 : 0;
    const int passed = check_passed_descriptors();
    for (int index = 0; index < passed; index++) {
        add_descriptor(first_passed_descriptor + index);
    }
    facts_.passed_count = passed > 0 ? passed : 0;
    add_sockets();
    facts_.own_descriptors = static_cast<uint32_t>(descriptor_count_);
}

void UpgradeWriter::add_sockets() {
    for (const BoundSet *set = bound_sets(); set != nullptr; set = set->next) {
        UpgradeSet written{};
        int32_t open[bound_sockets_max];
        for (const BorrowedFd &socket : set->sockets) {
            if (socket.is_still_open()) {
                open[written.count++] = socket.get();
                add_descriptor(socket.get());
            }
        }
        if (written.count == 0) {
            continue;
        }
        written.port = set->key.port;
        written.family = set->key.family;
        written.flags = set->key.flags;
        written.name_size = static_cast<uint32_t>(strlen(set->key.name) + 1);
        add(&written, sizeof(written));
        add(open, written.count * sizeof(open[0]));
        add(set->key.name, written.name_size);
        facts_.set_count += 1;
    }
}

void UpgradeWriter::inherit(int descriptor) {
    const int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0) {
        failure_ = -errno;
    }
    const Inherited inherited{descriptor, (flags & FD_CLOEXEC) != 0};
    append(&inherited_, &inherited_count_, &inherited, 1);
}

void UpgradeWriter::add_descriptor(int descriptor) {
    if (descriptor >= 0) {
        const int32_t number = descriptor;
        append(&descriptors_, &descriptor_count_, &number, 1);
        inherit(descriptor);
    }
}

void UpgradeWriter::add_pool(const UpgradePool &pool) {
    facts_.pool_count += 1;
    add(&pool, sizeof(pool));
    for (const int descriptor : pool.descriptors()) {
        add_descriptor(descriptor);
    }
}

void UpgradeWriter::add_worker(const UpgradeWorker &worker) {
    add(&worker, sizeof(worker));
    add_descriptor(worker.channel.stop_end);
    add_process({worker.pid, worker.pidfd});
}

void UpgradeWriter::add_spare(const UpgradeProcess &spare) {
    add(&spare, sizeof(spare));
    add_process(spare);
}

void UpgradeWriter::add_process(const UpgradeProcess &process) {
    if (process.pid > 0) {
        append(&processes_, &process_count_, &process, 1);
        if (process.pidfd >= 0) {
            inherit(process.pidfd);
        }
    }
}

void UpgradeWriter::add(const void *data, size_t size) {
    append(&body_, &body_size_, static_cast<const unsigned char *>(data), size);
}

int UpgradeWriter::write_all() const {
    UpgradeHeader header{};
    header.magic = UpgradeHeader::magic_number;
    header.version = UpgradeHeader::this_version;
    header.pid = own_pid();
    header.process_count = static_cast<uint32_t>(process_count_);
    header.descriptor_count = static_cast<uint32_t>(descriptor_count_);
    const struct {
        const void *data;
        size_t size;
    } parts[] = {
        {&header, sizeof(header)},
        {process_count_ == 0 ? nullptr : &processes_[0], process_count_ * sizeof(UpgradeProcess)},
        {descriptor_count_ == 0 ? nullptr : &descriptors_[0], descriptor_count_ * sizeof(int32_t)},
        {&facts_, sizeof(facts_)},
        {body_size_ == 0 ? nullptr : &body_[0], body_size_},
    };
    for (const auto &part : parts) {
        for (size_t done = 0; done < part.size;) {
            const ssize_t count = write_without_sigpipe(
                file_.get(), static_cast<const char *>(part.data) + done, part.size - done);
            if (count < 0 && count != -EINTR) {
                return static_cast<int>(count);
            }
            done += count > 0 ? static_cast<size_t>(count) : 0;
        }
    }
    return 0;
}

int UpgradeWriter::finish() {
    if (failure_ < 0) {
        return failure_;
    }
    if (int r = file_.adopt(create_file()); r < 0) {
        return r;
    }
    inherit(file_.get());
    if (int r = failure_ < 0 ? failure_ : write_all(); r < 0) {
        return r;
    }
    // A file that is not in memory has none.
    (void)fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return 0;
}

int UpgradeWriter::set_inherited(bool is_inherited) {
    int result = 0;
    for (size_t index = 0; index < inherited_count_; index++) {
        if (inherited_[index].is_changed &&
            fcntl(inherited_[index].descriptor, F_SETFD, is_inherited ? 0 : FD_CLOEXEC) < 0) {
            result = -errno;
        }
    }
    return result;
}

} // namespace prefork::os
