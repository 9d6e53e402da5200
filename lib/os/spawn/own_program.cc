// SPDX-License-Identifier: MIT
#include "os/spawn/own_program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap_object.h"
#include "os/fd/descriptor.h"
#include "os/process/threads.h"
#include "os/spawn/strings.h"

namespace prefork::os {

namespace {

constexpr size_t process_name_size = 16; // with its zero byte, as the kernel has it

struct {
    char *path = nullptr;
    Strings *arguments = nullptr;
    char process_name[process_name_size] = "";
} program;

// The kernel adds this to the name of a file that is there no more. If one by that name has come
// into its place, as in an upgrade, that is the program now.
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

// The names that the kernel has for open files, and not for what a link to them leads to.
bool is_of_proc(const char *path) {
    constexpr const char *places[] = {"/proc/", "/dev/fd/"};
    for (const char *place : places) {
        if (strncmp(path, place, strlen(place)) == 0) {
            return true;
        }
    }
    return false;
}

bool is_own_file(const char *path) {
    struct stat file {};
    struct stat own_file {};
    return stat(path, &file) == 0 && stat("/proc/self/exe", &own_file) == 0 &&
           file.st_dev == own_file.st_dev && file.st_ino == own_file.st_ino;
}

// The name that this program was started with, made absolute; nullptr if it does not lead to the
// program, or not any more. Its links stay in it, as they may be turned to another release. But who
// starts a program that gets more rights by it could turn them to a program of his own.
char *name_at_start() {
    const auto *name = reinterpret_cast<const char *>(getauxval(AT_EXECFN));
    if (name == nullptr || name[0] == '\0' || getauxval(AT_SECURE) != 0) {
        return nullptr;
    }
    char *path = nullptr;
    if (name[0] == '/') {
        path = strdup(name);
    } else {
        // With the links in PWD, if that is the directory.
        char *directory = get_current_dir_name();
        const bool known = directory != nullptr && directory[0] == '/';
        if (!known || asprintf(&path, "%s/%s", directory, name) < 0) {
            path = nullptr;
        }
        free(directory);
    }
    if (path != nullptr && (is_of_proc(path) || !is_own_file(path))) {
        free(path);
        path = nullptr;
    }
    return path;
}

char *name_of_file() {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    // One outside of this root directory has a name that leads nowhere.
    if (length <= 0 || path[0] != '/') {
        return nullptr;
    }
    path[length] = '\0';
    cut_mark_of_deleted(path);
    return strdup(path);
}

void note_arguments() {
    Descriptor file;
    base::Array<char> text;
    if (file.adopt(open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC)) < 0) {
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
        program.arguments = arguments;
    } else {
        base::destroy(arguments);
    }
}

} // namespace

void note_own_program() {
    program.path = name_at_start();
    if (program.path == nullptr) {
        program.path = name_of_file();
    }
    note_arguments();
    if (is_main_thread()) {
        prctl(PR_GET_NAME, program.process_name);
    }
}

const char *own_path() { return program.path == nullptr ? "" : program.path; }

char *const *own_arguments() {
    return program.arguments == nullptr || program.arguments->empty() ? nullptr
                                                                      : program.arguments->get();
}

const char *own_process_name() { return program.process_name; }

void set_process_name(const char *name) {
    if (is_main_thread()) {
        prctl(PR_SET_NAME, name);
    }
}

} // namespace prefork::os
