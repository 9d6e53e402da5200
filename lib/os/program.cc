// SPDX-License-Identifier: MIT
#include "os/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/heap_object.h"
#include "os/descriptor.h"
#include "os/strings.h"
#include "os/worker_process.h"

namespace prefork::os {

namespace {

constexpr size_t process_name_size = 16; // with its zero byte, as the kernel has it

struct {
    char *path = nullptr;
    Strings *arguments = nullptr;
    char process_name[process_name_size] = "";
} own;

// The kernel adds this to the name of a file that is there no more. If one by that name has taken
// its place, as in an upgrade, that is the program now.
void cut_mark_of_deleted(char *path) {
    constexpr char mark[] = " (deleted)";
    const size_t length = strlen(path);
    if (length > sizeof(mark) && access(path, F_OK) != 0) {
        char *end = path + length - (sizeof(mark) - 1);
        if (strcmp(end, mark) == 0) {
            *end = '\0';
        }
    }
}

void note_path() {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    // One outside of this root directory has a name that leads nowhere.
    if (length > 0 && path[0] == '/') {
        path[length] = '\0';
        cut_mark_of_deleted(path);
        own.path = strdup(path);
    }
}

void note_arguments() {
    Descriptor file;
    base::Array<char> text;
    if (file.take(open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC)) < 0) {
        return;
    }
    size_t length = 0;
    for (;;) {
        constexpr size_t growth = 1024;
        // One byte more than is read: the last string gets its zero byte whatever it has.
        if (length + 1 >= text.size() && !text.grow(2 * text.size() + growth)) {
            return;
        }
        const ssize_t count = read(file.get(), &text[length], text.size() - length - 1);
        if (count == 0) {
            break;
        }
        if (count < 0 && errno != EINTR) {
            return;
        }
        length += count > 0 ? static_cast<size_t>(count) : 0;
    }
    if (length > 0 && text[length - 1] != '\0') {
        length += 1; // all bytes that were not read are 0
    }
    auto *arguments = base::make<Strings>();
    if (arguments != nullptr && length > 0 && arguments->copy(&text[0], length)) {
        own.arguments = arguments;
    } else {
        base::destroy(arguments);
    }
}

} // namespace

void note_own_program() {
    note_path();
    note_arguments();
    if (is_main_thread()) {
        prctl(PR_GET_NAME, own.process_name);
    }
}

const char *own_path() { return own.path == nullptr ? "" : own.path; }

char *const *own_arguments() {
    return own.arguments == nullptr || own.arguments->empty() ? nullptr : own.arguments->get();
}

const char *own_process_name() { return own.process_name; }

void set_process_name(const char *name) {
    if (is_main_thread()) {
        prctl(PR_SET_NAME, name);
    }
}

} // namespace prefork::os
