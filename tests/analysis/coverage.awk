# What of lib/ was executed: uncovered.txt and the figures of llvm-cov (lcov) are the input.
#
# SPDX-License-Identifier: MIT

function trimmed(text) {
    gsub(/^[ \t]+|[ \t]+$/, "", text)
    return text
}

function text_of(file, line,   number, text) {
    if (!(file in was_read)) {
        was_read[file] = 1
        while ((getline text < (top file)) > 0) {
            source[file, ++number] = trimmed(text)
        }
        close(top file)
    }
    return source[file, line]
}

# Returns the entry for a line, "" if there is none.
function entry_for(file, text,   number) {
    if ((file " | " text) in reasons) {
        return file " | " text
    }
    for (number = 1; number <= pattern_count; number++) {
        if (index(file, pattern_place[number]) == 1 && text ~ pattern[number]) {
            return pattern_entry[number]
        }
    }
    return ""
}

# Lines that are executed only if the one before them has an outcome that it had not share its
# entry. One that is not listed is reported once.
function missed(file, line, what,   entry, key) {
    if (what == "a line" && last_file == file && last_line == line - 1) {
        last_line = line
        return
    }
    if (text_of(file, line) ~ /^[{}();]*$/) {
        return
    }
    last_file = file
    last_line = line
    key = file " | " text_of(file, line)
    entry = entry_for(file, text_of(file, line))
    if (entry != "") {
        used[entry] = 1
        return
    }
    if (!(key in reported)) {
        reported[key] = 1
        unknown++
        unknown_lines[unknown] = show ? key : file ":" line ": not listed, " what ": " \
            source[file, line]
    }
}

# "= reason", and below it entries "file | text" or "beginning of files | /pattern/".
FILENAME == list {
    if ($0 ~ /^#/ || $0 == "") {
        next
    }
    if ($0 ~ /^= /) {
        reason = substr($0, 3)
        next
    }
    at = index($0, " | ")
    if (at == 0 || reason == "") {
        print list ": no reason: " $0
        failed++
        next
    }
    reasons[$0] = reason
    if ($0 ~ / \| \/.*\/$/) {
        pattern_count++
        pattern_entry[pattern_count] = $0
        pattern_place[pattern_count] = substr($0, 1, at - 1)
        pattern[pattern_count] = substr($0, at + 4, length($0) - at - 4)
    }
    next
}

/^SF:/ {
    file = substr($0, 4)
    file = index(file, top) == 1 ? substr(file, length(top) + 1) : file
    wanted = file ~ /^lib\//
    if (wanted) {
        files[++file_count] = file
    }
}

wanted && /^DA:/ {
    split(substr($0, 4), part, ",")
    count[file, part[1]] += part[2]
    last[file] = part[1] > last[file] ? part[1] + 0 : last[file]
}

wanted && /^BRDA:/ {
    split(substr($0, 6), part, ",")
    key = file SUBSEP part[1] SUBSEP part[2] SUBSEP part[3]
    if (!(key in taken)) {
        branch_line[++branch_count] = file SUBSEP part[1]
        branch_key[branch_count] = key
    }
    taken[key] += part[4] == "-" ? 0 : part[4]
}

END {
    for (i = 1; i <= branch_count; i++) {
        split(branch_line[i], part, SUBSEP)
        branches[part[1]]++
        if (taken[branch_key[i]] > 0) {
            branches_taken[part[1]]++
        } else {
            misses[part[1], part[2]] = "a branch"
        }
    }
    printf "%7s %6s %9s %6s\n", "lines", "", "branches", ""
    for (i = 1; i <= file_count; i++) {
        file = files[i]
        for (line = 1; line <= last[file]; line++) {
            if ((file, line) in count) {
                lines[file]++
                if (count[file, line] > 0) {
                    lines_run[file]++
                } else {
                    misses[file, line] = "a line"
                }
            }
            if ((file, line) in misses) {
                missed(file, line, misses[file, line])
            }
        }
        printf "%3d/%3d %5.1f%% %4d/%4d %5.1f%%  %s\n", lines_run[file], lines[file],
            100 * lines_run[file] / lines[file], branches_taken[file], branches[file],
            branches[file] ? 100 * branches_taken[file] / branches[file] : 100, file
        all_lines += lines[file]
        all_run += lines_run[file]
        all_branches += branches[file]
        all_taken += branches_taken[file]
    }
    unknown = sample ? 0 : unknown
    for (i = 1; i <= unknown; i++) {
        print unknown_lines[i]
    }
    for (key in reasons) {
        if (!(key in used) && !sample) {
            print list ": executed this time: " key
        }
    }
    line_share = 100 * all_run / all_lines
    branch_share = 100 * all_taken / all_branches
    printf "lines %d of %d, %.2f %% (at least %d)\n", all_run, all_lines, line_share, least_lines
    printf "branches %d of %d, %.2f %% (at least %d)\n", all_taken, all_branches, branch_share,
        least_branches
    printf "not executed and not listed: %d\n", unknown
    failed += (line_share < least_lines) + (branch_share < least_branches) + (unknown > 0) + tests_failed
    passed = (line_share >= least_lines) + (branch_share >= least_branches) + (unknown == 0) + !tests_failed
    printf "%d passed, %d failed\n", passed, failed
    exit failed > 0
}
