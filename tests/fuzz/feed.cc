// Runs a fuzz target without libFuzzer: with each file of the directories that are named, in a
// build of any compiler. Prints how many there were; a target that finds a defect ends the program.
//
// SPDX-License-Identifier: MIT
#include <cstdio>
#include <dirent.h>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "input.h"

namespace {

bool read_file(const std::string &path, std::string *ret_text) {
    FILE *file = fopen(path.c_str(), "rb");
    if (file == nullptr) {
        return false;
    }
    char buffer[4096];
    for (size_t count = 0; (count = fread(buffer, 1, sizeof(buffer), file)) > 0;) {
        ret_text->append(buffer, count);
    }
    const bool is_read = ferror(file) == 0;
    (void)fclose(file);
    return is_read;
}

// Returns whether all were read.
bool feed_directory(const char *directory, int *count) {
    DIR *entries = opendir(directory);
    if (entries == nullptr) {
        return false;
    }
    bool are_read = true;
    while (const dirent *entry = readdir(entries)) {
        const std::string path = std::string(directory) + "/" + entry->d_name;
        std::string text;
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (!read_file(path, &text)) {
            are_read = false;
            break;
        }
        fprintf(stderr, "%s\n", path.c_str()); // the last one is the culprit
        // A copy without a byte to spare.
        auto *data = new uint8_t[text.size()];
        text.copy(reinterpret_cast<char *>(data), text.size());
        LLVMFuzzerTestOneInput(data, text.size());
        delete[] data;
        *count += 1;
    }
    closedir(entries);
    return are_read;
}

} // namespace

int main(int argc, char **argv) {
    int count = 0;
    for (int index = 1; index < argc; index++) {
        if (!feed_directory(argv[index], &count)) {
            perror(argv[index]);
            return 1;
        }
    }
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
