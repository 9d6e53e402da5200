// The socket of workers that do not know this library: where it is, and what is read of it.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/channel/notify_socket.h"

using prefork::os::Notification;
using prefork::os::NotifySocket;
using prefork::os::NotifySocketSnapshot;

namespace {

bool send_to(const char *path, const void *data, size_t size) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    const int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const ssize_t sent = sendto(sender, data, size, 0, reinterpret_cast<const sockaddr *>(&address),
                                sizeof(address));
    close(sender);
    return sent == static_cast<ssize_t>(size);
}

bool send_to(const char *path, const char *text) { return send_to(path, text, strlen(text)); }

bool is_ready_message_read(NotifySocket *socket) {
    Notification found;
    int32_t pid = 0;
    socket->begin_read();
    return socket->next(&found, &pid) && found.ready && !found.alive && pid == getpid() &&
           !socket->next(&found, &pid);
}

void message_comes_with_the_pid_of_its_sender(void **) {
    NotifySocket socket;
    assert_int_equal(socket.open(), 0);

    assert_true(send_to(socket.path(), "STATUS=x\nREADY=1\n"));

    assert_true(is_ready_message_read(&socket));
    assert_false(socket.met_flood());
}

void long_message_is_cut(void **) {
    std::string text(8192, '\n');
    NotifySocket socket;
    assert_int_equal(socket.open(), 0);
    text.replace(0, 8, "READY=1\n");
    text.replace(text.size() - 10, 10, "WATCHDOG=1");

    assert_true(send_to(socket.path(), text.data(), text.size()));

    assert_true(is_ready_message_read(&socket));
}

void one_read_is_bounded(void **) {
    constexpr int budget = 64;
    NotifySocket socket;
    Notification found;
    int32_t pid = 0;
    assert_int_equal(socket.open(), 0);
    for (int read = 0; read < budget; read++) {
        if (read == 0) {
            socket.begin_read();
        }
        assert_true(send_to(socket.path(), "WATCHDOG=1"));
        assert_false(socket.met_flood());
        assert_true(socket.next(&found, &pid) && found.alive);
    }
    assert_true(send_to(socket.path(), "READY=1"));

    assert_true(socket.met_flood());
    assert_false(socket.next(&found, &pid));
    assert_true(is_ready_message_read(&socket));
}

void unusable_directories_are_left_out(void **) {
    static char long_name[200];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[0] = '/';
    for (const char *directory :
         {"relative", "/missing/directory", static_cast<const char *>(long_name)}) {
        NotifySocket socket;
        assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);

        assert_int_equal(socket.open(), 0);

        assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
        assert_int_equal(socket.path()[0], '/');
        assert_true(send_to(socket.path(), "READY=1"));
        assert_true(is_ready_message_read(&socket));
    }
}

// CMocka's asserts are for the test process.
int use_without_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    NotifySocket socket;
    if (syscall(SYS_capset, &header, none) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0 ||
        socket.open() != 0) {
        return 2;
    }
    const bool is_hidden = strncmp(socket.path(), "/proc/", 6) == 0;
    return is_hidden && send_to(socket.path(), "READY=1") && is_ready_message_read(&socket) ? 0 : 1;
}

void supervisor_without_capabilities_leaves_no_file(void **) {
    char directory[] = "/tmp/notify-XXXXXX";
    int status = -1;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chmod(directory, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    const pid_t child = fork();
    if (child == 0) {
        _exit(use_without_capabilities());
    }
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);

    assert_int_equal(waitpid(child, &status, 0), child);

    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(status, 0);
}

void socket_is_handed_over(void **) {
    NotifySocket before;
    NotifySocket after;
    assert_int_equal(before.open(), 0);
    const NotifySocketSnapshot saved = before.snapshot();
    assert_true(send_to(before.path(), "READY=1"));
    before.disown();

    assert_int_equal(after.adopt(saved), 0);

    assert_string_equal(after.path(), saved.path);
    assert_true(is_ready_message_read(&after));
    after.close();
    assert_int_equal(access(saved.path, F_OK), -1);
}

void socket_that_is_not_there_is_not_adopted(void **) {
    NotifySocket socket;
    NotifySocketSnapshot saved{};
    saved.socket = 1 << 20;
    saved.place = -1;

    assert_int_equal(socket.adopt(saved), -EBADF);
    assert_int_equal(socket.descriptor(), -1);
}

void descriptor_of_another_file_is_left_alone(void **) {
    NotifySocket socket;
    Notification found;
    int32_t pid = 0;
    assert_int_equal(socket.open(), 0);
    const int number = socket.descriptor();
    const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup3(other, number, O_CLOEXEC), number);

    socket.begin_read();
    assert_false(socket.next(&found, &pid));
    socket.close();

    assert_int_equal(socket.descriptor(), -1);
    assert_int_equal(close(number) | close(other), 0); // still open
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(message_comes_with_the_pid_of_its_sender),
        cmocka_unit_test(long_message_is_cut),
        cmocka_unit_test(one_read_is_bounded),
        cmocka_unit_test(unusable_directories_are_left_out),
        cmocka_unit_test(supervisor_without_capabilities_leaves_no_file),
        cmocka_unit_test(socket_is_handed_over),
        cmocka_unit_test(socket_that_is_not_there_is_not_adopted),
        cmocka_unit_test(descriptor_of_another_file_is_left_alone),
    };
    return cmocka_run_group_tests_name("notify socket", tests, nullptr, nullptr);
}
