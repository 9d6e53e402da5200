// SPDX-License-Identifier: MIT
#include "os/channel/link_text.h"

#include "base/number.h"
#include "base/worker_array.h"

namespace prefork::os {

namespace {

constexpr char digits[] = "0123456789abcdef";
constexpr int hexadecimal_digits = 16;
constexpr int32_t awaited_flag = 1;
constexpr int32_t announces_flag = 2;
constexpr int32_t takeover_flag = 4;

// More often than wanted is as good: longer intervals are cut to what fits.
int32_t microseconds_of(base::Duration interval) {
    const base::Duration rounded_up = (interval + base::microsecond - 1) / base::microsecond;
    return rounded_up > INT32_MAX ? INT32_MAX : static_cast<int32_t>(rounded_up);
}

int value_of(char digit) {
    for (int value = 0; value < 16; value++) {
        if (digits[value] == digit) {
            return value;
        }
    }
    return -1;
}

// Moves the text behind the number.
bool read_hexadecimal(const char **text, uint64_t *ret_number) {
    uint64_t number = 0;
    for (int index = 0; index < hexadecimal_digits; index++) {
        const int value = value_of((*text)[index]); // the zero byte has none
        if (value < 0) {
            return false;
        }
        number = number << 4 | static_cast<uint64_t>(value);
    }
    *text += hexadecimal_digits;
    *ret_number = number;
    return true;
}

void add_hexadecimal(uint64_t number, base::Text *text) {
    for (int index = hexadecimal_digits - 1; index >= 0; index--) {
        const char digit[] = {digits[number >> (4 * index) & 15], '\0'};
        text->add(digit);
    }
}

} // namespace

void write_link(const WorkerLink &link, base::Text *text) {
    const int32_t flags = (link.is_awaited ? awaited_flag : 0) |
                          (link.announces_exit ? announces_flag : 0) |
                          (link.keeps_down ? 0 : takeover_flag);
    const int32_t numbers[] = {
        link.supervisor,
        link.pidfd,
        link.liveness,
        link.up,
        link.down,
        static_cast<int32_t>(link.instance.worker),
        static_cast<int32_t>(link.instance.life),
        link.death_signal,
        microseconds_of(link.heartbeat_interval),
        flags,
    };
    for (const int32_t number : numbers) {
        text->add(int64_t{number}).add(":");
    }
    add_hexadecimal(link.up_file.inode, text);
    text->add(":");
    add_hexadecimal(link.token, text);
}

bool read_link(const char *text, WorkerLink *ret_link) {
    WorkerLink link;
    int32_t worker = -1;
    int32_t life = -1;
    int32_t interval = -1;
    int32_t flags = -1;
    int32_t *const numbers[] = {&link.supervisor, &link.pidfd, &link.liveness, &link.up,
                                &link.down,       &worker,     &life,          &link.death_signal,
                                &interval,        &flags};
    for (int32_t *number : numbers) {
        if (!base::parse_number(&text, -1, INT32_MAX, number) || *text++ != ':') {
            return false;
        }
    }
    if (link.supervisor <= 0 || link.up < 0 || worker < 0 ||
        worker >= static_cast<int32_t>(Record::workers_end) || life <= 0 || link.death_signal < 0 ||
        interval < 0 || flags < 0 || !read_hexadecimal(&text, &link.up_file.inode) ||
        *text++ != ':' || !read_hexadecimal(&text, &link.token) || *text != '\0') {
        return false;
    }
    link.instance = {static_cast<uint32_t>(life), static_cast<uint32_t>(worker)};
    link.heartbeat_interval = static_cast<base::Duration>(interval) * base::microsecond;
    link.is_awaited = (flags & awaited_flag) != 0;
    link.announces_exit = (flags & announces_flag) != 0;
    link.keeps_down = (flags & takeover_flag) == 0;
    link.is_spare = base::is_spare(link.instance.worker);
    *ret_link = link;
    return true;
}

} // namespace prefork::os
