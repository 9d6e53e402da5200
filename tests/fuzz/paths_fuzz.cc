// The paths of UNIX sockets and pid files, in a real directory with what may be there before.
//
// The input: what is to be made, and the path. A path that leads out of the directory is left out.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_system.h"
#include "input.h"
#include "os/net/sockets.h"
#include "os/service/pid_file.h"
#include "prefork.h"

namespace {

constexpr const char *names_at_start[] = {"file", "empty", "link", "dangling", "directory",
                                          "fifo", "live",  "busy", "datagram", "stale",
                                          "twin", "held",  "hard"};

using Files = std::map<std::string, uint64_t>; // their inode numbers

// Makes a socket at a path; returns its descriptor.
int make_socket(const char *path, int type = SOCK_STREAM, int backlog = 4096) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    const auto *generic = reinterpret_cast<const sockaddr *>(&address);
    const int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    EXPECT(bind(descriptor, generic, sizeof(address)) == 0);
    EXPECT(type != SOCK_STREAM || listen(descriptor, backlog) == 0);
    if (backlog == 0) { // one more is let in than it says
        const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT(connect(client, generic, sizeof(address)) == 0);
        close(client);
    }
    return descriptor;
}

// A process that holds the lock of a pid file as long as this one lives.
void hold(const char *path) {
    int ready[2];
    EXPECT(pipe2(ready, O_CLOEXEC) == 0);
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        struct flock whole {};
        whole.l_type = F_WRLCK;
        const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        const bool is_held =
            file >= 0 && fcntl(file, F_SETLK, &whole) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
        (void)!write(ready[1], "", is_held ? 1 : 0);
        for (;;) {
            pause();
        }
    }
    char byte = 0;
    EXPECT(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
}

// A directory of its own, that is the current one while there is an input.
class Directory {
  public:
    Directory() {
        EXPECT(mkdtemp(path_) != nullptr);
        outside_ = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        inside_ = open(path_, O_PATH | O_DIRECTORY | O_CLOEXEC);
        EXPECT(outside_ >= 0 && inside_ >= 0);
    }
    // Processes that libFuzzer ends by _exit leave it behind.
    ~Directory() {
        enter();
        for (const auto &file : files()) {
            remove(file.first);
        }
        leave();
        (void)rmdir(path_);
        close(outside_);
        close(inside_);
        for (const int socket : living_) {
            close(socket);
        }
    }
    Directory(const Directory &) = delete;
    Directory &operator=(const Directory &) = delete;

    void enter() { EXPECT(fchdir(inside_) == 0); }
    void leave() { EXPECT(fchdir(outside_) == 0); }
    [[nodiscard]] const char *path() const { return path_; }

    // Makes what is not there.
    void restore() {
        for (const char *name : names_at_start) {
            struct stat status {};
            if (lstat(name, &status) != 0) {
                make(name);
            }
        }
    }

    // All files, with their inode numbers.
    static Files files() {
        Files found;
        DIR *entries = opendir(".");
        EXPECT(entries != nullptr);
        while (const dirent *entry = readdir(entries)) {
            const std::string name = entry->d_name;
            if (name != "." && name != "..") {
                found[name] = entry->d_ino;
            }
        }
        closedir(entries);
        return found;
    }

    static void remove(const std::string &name) {
        EXPECT(unlink(name.c_str()) == 0 || rmdir(name.c_str()) == 0);
    }

  private:
    void make(const std::string &name) {
        const char *path = name.c_str();
        if (name == "directory") {
            EXPECT(mkdir(path, 0700) == 0);
        } else if (name == "fifo") {
            EXPECT(mkfifo(path, 0600) == 0);
        } else if (name == "link") {
            EXPECT(symlink("file", path) == 0);
        } else if (name == "dangling") {
            EXPECT(symlink("none", path) == 0);
        } else if (name == "hard") {
            EXPECT(link("twin", path) == 0);
        } else if (name == "held") {
            hold(path);
        } else if (name == "live") {
            living_[0] = make_socket(path);
        } else if (name == "busy") {
            living_[1] = make_socket(path, SOCK_STREAM, 0);
        } else if (name == "datagram") {
            living_[2] = make_socket(path, SOCK_DGRAM);
        } else if (name == "stale") {
            close(make_socket(path));
        } else {
            const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            EXPECT(file >= 0 && (name == "empty" || write(file, "123456789\n", 10) == 10));
            close(file);
        }
    }

    char path_[32] = "/tmp/prefork-fuzz-XXXXXX";
    int outside_ = -1;
    int inside_ = -1;
    int living_[3] = {-1, -1, -1};
};

bool stays_inside(std::string_view path) {
    for (std::string_view rest = path; !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find('/'));
        if (part == "..") {
            return false;
        }
        rest.remove_prefix(part.size() < rest.size() ? part.size() + 1 : part.size());
    }
    return true;
}

// Of what was there before, the new file may have come into the place of these.
void expect_only_replaced(const std::string &path, const Files &before, const Files &after,
                          std::initializer_list<const char *> replaceable) {
    const auto may_be_replaced = [replaceable](const std::string &file) {
        return std::find(replaceable.begin(), replaceable.end(), file) != replaceable.end();
    };
    struct stat status {};
    EXPECT(lstat(path.c_str(), &status) == 0 && after.size() <= before.size() + 1);
    for (const auto &[file, inode] : before) {
        EXPECT(may_be_replaced(file) || after.at(file) == inode);
        // The number of a file that is gone may be given again.
        EXPECT(may_be_replaced(file) || after.at(file) != status.st_ino);
    }
}

void make_socket_file(const std::string &path, uint32_t mode) {
    const auto before = Directory::files();
    const fuzz::ExactString exact(path);
    const int descriptor = pf_bind_unix_socket(exact.get(), mode, 1);
    const auto after = Directory::files();
    if (descriptor < 0) {
        EXPECT(after == before); // nothing is left, nothing is another file
        return;
    }
    struct stat status {};
    EXPECT(lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode));
    EXPECT((status.st_mode & 0777) == mode);
    expect_only_replaced(path, before, after, {"stale"});
    EXPECT(unlink(path.c_str()) == 0);
    close(descriptor);
}

void make_pid_file(const std::string &path) {
    const auto before = Directory::files();
    const fuzz::ExactString exact(path);
    prefork::os::BorrowedFd file;
    const int result = prefork::os::create_pid_file(exact.get(), &file);
    if (result < 0) {
        EXPECT(Directory::files() == before && file.get() < 0);
        return;
    }
    char text[64] = "";
    const ssize_t length = pread(file.get(), text, sizeof(text), 0);
    EXPECT(length > 0 && std::string(text) == std::to_string(getpid()) + "\n");
    struct stat status {};
    EXPECT(lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode));
    EXPECT(status.st_ino == file.identity().inode && status.st_nlink == 1);
    const auto after = Directory::files();
    expect_only_replaced(path, before, after, {"file", "empty"});
    prefork::os::remove_pid_file(file);
    EXPECT(lstat(path.c_str(), &status) != 0);
    close(file.get());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Directory directory;
    fuzz::Input input(data, size);
    const uint32_t what = input.below(4);
    const uint32_t mode = input.number<uint16_t>() & 0777;
    std::string path(input.rest());
    path = path.substr(0, path.find('\0'));
    if (!stays_inside(path) || path.empty()) {
        return 0;
    }
    path = path[0] == '/' ? directory.path() + path : path;
    directory.enter();
    directory.restore();
    const int before = fuzz::lowest_free_descriptor();
    if (what % 2 == 0) {
        make_socket_file(path, mode);
    } else {
        make_pid_file(path);
    }
    EXPECT(fuzz::lowest_free_descriptor() == before);
    directory.leave();
    return 0;
}
