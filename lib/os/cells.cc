// SPDX-License-Identifier: MIT
#include "os/cells.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/daemon.h"
#include "os/exit_status.h"
#include "os/identity.h"
#include "os/worker_process.h"

namespace prefork::os {

namespace {

struct Address {
    sockaddr_un value{};
    socklen_t length = 0;
};

Address address_of(const SocketName &name) {
    Address address;
    address.value.sun_family = AF_UNIX;
    memcpy(address.value.sun_path, name.bytes, name.length);
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.length);
    return address;
}

// Opens a datagram socket under a name that the kernel chooses.
int open_socket(Descriptor *ret_socket, SocketName *ret_name) {
    const int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    if (int r = ret_socket->take(socket(AF_UNIX, type, 0)); r < 0) {
        return r;
    }
    Address address = address_of(SocketName{});
    if (bind(ret_socket->get(), reinterpret_cast<sockaddr *>(&address.value), address.length) < 0) {
        return -errno;
    }
    address.length = sizeof(address.value);
    if (getsockname(ret_socket->get(), reinterpret_cast<sockaddr *>(&address.value),
                    &address.length) < 0) {
        return -errno;
    }
    const size_t length = address.length - offsetof(sockaddr_un, sun_path);
    if (length > SocketName::length_max) {
        return -ENAMETOOLONG;
    }
    ret_name->length = static_cast<uint8_t>(length);
    memcpy(ret_name->bytes, address.value.sun_path, length);
    return 0;
}

size_t size_of(uint32_t cells) { return cells * sizeof(Cell) + sizeof(Notice); }

// Where vm.memfd_noexec says so, only memory that can not be executed may be made; before Linux
// 6.3 that can not be asked for.
int create_memory() {
    constexpr unsigned int not_executable = 8;
    const int descriptor = memfd_create("prefork", MFD_CLOEXEC | not_executable);
    return descriptor >= 0 || errno != EINVAL
               ? descriptor
               : memfd_create("prefork", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

} // namespace

Cells::~Cells() {
    close();
    if (cells_ != nullptr) {
        munmap(cells_, size_of(count_));
    }
}

int Cells::open(uint32_t workers_max, bool for_exec) {
    const size_t size = size_of(workers_max);
    if (for_exec) {
        if (int r = memory_.take(create_memory()); r < 0) {
            return r;
        }
        // Whoever has the descriptor as well can not take the memory away.
        if (ftruncate(memory_.get(), static_cast<off_t>(size)) < 0 ||
            fcntl(memory_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
            return -errno;
        }
    }
    void *memory =
        mmap(nullptr, size, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_NORESERVE | (for_exec ? 0 : MAP_ANONYMOUS), memory_.get(), 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    cells_ = static_cast<Cell *>(memory);
    notice_ = reinterpret_cast<Notice *>(cells_ + workers_max);
    count_ = workers_max;
    return open_socket(&socket_, &name_);
}

void Cells::reset(uint32_t worker) {
    Cell &cell = *this->cell(worker);
    cell.beats.store(0);
    cell.ready.store(0);
    cell.stop.store(0);
    cell.named.store(0);
    cell.admitted.store(0);
    cell.number = worker;
}

bool Cells::is_ready(uint32_t worker) const { return cell(worker)->ready.load() != 0; }

uint32_t Cells::beats(uint32_t worker) const { return cell(worker)->beats.load(); }

void Cells::ask_to_stop(uint32_t worker) {
    Cell &cell = *this->cell(worker);
    // Each side writes its word before it reads the other's, so one of them sees both.
    cell.stop.store(1);
    if (cell.named.load() == 0) {
        return;
    }
    SocketName name = cell.name;
    if (name.length > SocketName::length_max) {
        return; // a worker that writes nonsense is not heard of this way
    }
    const Address address = address_of(name);
    // A full queue is readable already.
    (void)sendto(socket_.get(), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr *>(&address.value), address.length);
}

bool Cells::take_word(uint32_t *ret_worker) const {
    uint32_t number = 0;
    for (;;) {
        const ssize_t length = recv(socket_.get(), &number, sizeof(number), MSG_DONTWAIT);
        if (length < 0 && errno != EINTR) {
            return false;
        }
        // Anybody may write to the socket; what counts is what stands in the cell.
        if (length == static_cast<ssize_t>(sizeof(number)) && number < count_) {
            *ret_worker = number;
            return true;
        }
    }
}

int attach_cell(int memory, int32_t worker, Post *ret_post) {
    struct stat status {};
    if (fstat(memory, &status) < 0) {
        return -errno;
    }
    const auto size = static_cast<size_t>(status.st_size);
    if (worker < 0 || size_of(static_cast<uint32_t>(worker) + 1) > size) {
        return -EINVAL;
    }
    void *mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (mapped == MAP_FAILED) {
        return -errno;
    }
    close(memory);
    const auto cells = static_cast<uint32_t>((size - sizeof(Notice)) / sizeof(Cell));
    ret_post->cell = static_cast<Cell *>(mapped) + place_of(static_cast<uint32_t>(worker), cells);
    ret_post->notice = reinterpret_cast<Notice *>(static_cast<char *>(mapped) + size) - 1;
    return 0;
}

void Cells::disown() {
    cells_ = nullptr;
    memory_.disown();
    socket_.disown();
}

namespace {

// What this worker has opened to hear and to be heard; -1: nothing yet. Kept to its end.
struct Ear {
    uint32_t generation = 0; // of the worker that opened it
    int socket = -1;
    int end = -1; // of the supervisor: readable when that is gone
    int all = -1; // an epoll of both
};

Ear ear;
std::atomic<uint32_t> ear_taken{0}; // by a thread of the worker of that generation; 0: by none

// Only one thread at a time opens an ear. A worker that was forked meanwhile by another thread of a
// worker finds it free, and finds no ear of its own.
class EarLock {
  public:
    EarLock() {
        uint32_t holder = 0;
        while (!ear_taken.compare_exchange_weak(holder, generation())) {
            if (holder == generation()) {
                give_way();
                holder = 0;
            }
        }
        if (ear.generation != generation()) {
            ear = Ear{}; // its descriptors were closed when this worker began
            ear.generation = generation();
        }
    }
    ~EarLock() { ear_taken.store(0); }
    EarLock(const EarLock &) = delete;
    EarLock &operator=(const EarLock &) = delete;
};

bool is_supervisor_gone(const Post &post) {
    const pid_t parent = getppid();
    return parent != post.supervisor && parent != 0;
}

// Opens the worker's socket, which only the pool's can write to.
int open_ear(const Post &post) {
    if (ear.socket >= 0) {
        return 0;
    }
    Descriptor socket;
    SocketName name{};
    if (int r = open_socket(&socket, &name); r < 0) {
        return r;
    }
    const Address address = address_of(post.supervisor_name);
    if (connect(socket.get(), reinterpret_cast<const sockaddr *>(&address.value),
                address.length) < 0 &&
        errno != ECONNREFUSED && errno != ENOENT) { // the supervisor is gone, which is told below
        return -errno;
    }
    post.cell->name = name;
    post.cell->named.store(1);
    ear.socket = socket.release();
    return 0;
}

// Opens what is readable once the supervisor is gone, or at once if the end has come before.
int open_end(const Post &post) {
    if (ear.end >= 0) {
        return 0;
    }
    // The parent is looked at after the pidfd was opened, so that it is the supervisor's if it is
    // still the parent, and not that of a later process with its pid.
    Descriptor end;
    const int given = post.pidfd >= 0 ? post.pidfd : post.liveness;
    const int pidfd = given >= 0 ? -1 : open_pidfd(post.supervisor);
    if (pidfd >= 0) {
        note_descriptor(pidfd);
        end.adopt(pidfd);
    } else if (given < 0 && pidfd != -ESRCH) {
        return pidfd;
    }
    const bool found = pidfd >= 0 || given >= 0;
    if (!found || is_supervisor_gone(post) || post.cell->stop.load() != 0) {
        // A pipe that nobody can write to is readable for ever.
        int ends[2] = {-1, -1};
        const int result = end.take(pipe2(ends, O_CLOEXEC) == 0 ? ends[0] : -1);
        if (ends[1] >= 0) {
            close(ends[1]);
        }
        if (result < 0) {
            return result;
        }
    }
    ear.end = end.get() >= 0 ? end.release() : given;
    return 0;
}

int send_word(uint32_t number) {
    if (send(ear.socket, &number, sizeof(number), MSG_NOSIGNAL) >= 0) {
        return 0;
    }
    return errno == ECONNREFUSED || errno == ENOTCONN ? -ESRCH : -errno;
}

int watch(int epoll, int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

} // namespace

int say_ready(const Post &post) {
    if (post.death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, post.death_signal);
        if (is_supervisor_gone(post)) {
            return -ESRCH;
        }
    }
    const EarLock lock;
    if (int r = open_ear(post); r < 0) {
        return r;
    }
    worker_is_ready(); // before the launching process can hear of it
    post.cell->ready.store(1);
    if (int r = send_word(post.cell->number); r != -EAGAIN) {
        return r;
    }
    // The supervisor has many words to read. It looks for this one once it has read them; if it has
    // by now, there is room for another.
    post.notice->unheard.store(1);
    const int result = send_word(post.cell->number);
    return result == -EAGAIN ? 0 : result;
}

int stop_descriptor(const Post &post) {
    const EarLock lock;
    if (ear.all >= 0) {
        return ear.all;
    }
    if (int r = open_ear(post); r < 0) {
        return r;
    }
    if (int r = open_end(post); r < 0) {
        return r;
    }
    Descriptor all;
    if (int r = all.take(epoll_create1(EPOLL_CLOEXEC)); r < 0) {
        return r;
    }
    if (int r = watch(all.get(), ear.socket); r < 0) {
        return r;
    }
    if (int r = watch(all.get(), ear.end); r < 0) {
        return r;
    }
    ear.all = all.release();
    return ear.all;
}

} // namespace prefork::os
