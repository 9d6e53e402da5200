// SPDX-License-Identifier: MIT
#include "channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "pipes.h"
#include "violation.h"

namespace sim {

namespace base = prefork::base;
namespace os = prefork::os;

Channel channel;

namespace {

constexpr uint32_t pipe_size = 64 * 1024;
constexpr uint32_t record_size = sizeof(os::Record);
// What the design allows the pool to read at once.
constexpr uint32_t read_max = 4 * 64 * 1024;
constexpr uint32_t nonsense_max = 64 * 1024;
constexpr uint32_t buffer_max = 1024;
constexpr Duration pause = 10 * millisecond;
constexpr uint32_t same_records_max = 8;

} // namespace

void Channel::begin(const os::ChannelOptions &options) {
    // The lists keep their memory, so that histories follow each other quickly.
    Channel fresh;
    fresh.bytes_.swap(bytes_);
    fresh.written_.swap(written_);
    fresh.lives_ = std::move(lives_);
    fresh.admissions_.swap(admissions_);
    *this = std::move(fresh);
    bytes_.clear();
    written_.clear();
    lives_.clear();
    admissions_.clear();
    options_ = options;
}

void Channel::open(int descriptor) { descriptor_ = descriptor; }

Duration Channel::heartbeat_interval() const {
    return options_.heartbeat_timeout == 0 ? 0 : options_.heartbeat_timeout / 4 + 1;
}

// ---- Workers write --------------------------------------------------------------------------

uint32_t Channel::room() const { return pipe_size - static_cast<uint32_t>(bytes_.size() - head_); }

bool Channel::put(const void *bytes, uint32_t length, const Written &written) {
    if (length > room()) {
        return false;
    }
    const auto *begin = static_cast<const unsigned char *>(bytes);
    bytes_.insert(bytes_.end(), begin, begin + length);
    written_.push_back(written);
    return true;
}

// As bytes that are no record, whatever they look like.
bool Channel::put_record(const os::Record &record) {
    return put(&record, record_size, Written{record_size, 0, 0, RecordKind::ready, 0});
}

bool Channel::write(const Process &from, RecordKind kind, uint8_t value) {
    if (from.life == 0) {
        return false; // it does not know yet who it is
    }
    const os::Record record = os::Record::make({from.life, from.worker}, from.token, kind, value);
    return put(&record, record_size, Written{record_size, from.life, from.worker, kind, value});
}

bool Channel::put_valid(uint32_t worker, RecordKind kind, uint8_t value) {
    const Life life = life_of(worker);
    const os::Record record = os::Record::make({life.life, worker}, life.token, kind, value);
    return put(&record, record_size, Written{record_size, life.life, worker, kind, value});
}

void Channel::put_junk(uint32_t length, uint32_t number) {
    unsigned char junk[256];
    std::memset(junk, static_cast<int>(number % 251), sizeof(junk));
    while (length > 0) {
        const uint32_t part = std::min<uint32_t>(length, sizeof(junk));
        if (!put(junk, part, Written{part, 0, 0, RecordKind::ready, 0})) {
            return;
        }
        length -= part;
    }
}

void Channel::write_noise(Noise noise, uint32_t worker, uint32_t number) {
    const Life life = life_of(worker);
    const auto kind = static_cast<RecordKind>(1 + number % 4);
    os::Record record = os::Record::make({life.life, worker}, life.token, kind, 0);
    switch (noise) {
    case Noise::junk:
        put_junk(number % 40, number);
        break;
    case Noise::sibling: { // in the name of another one, with its own token
        const auto places = static_cast<uint32_t>(lives_.workers.size() + lives_.spares.size()) + 4;
        const uint32_t index = number / 4 % places;
        const auto workers = static_cast<uint32_t>(lives_.workers.size()) + 2;
        const uint32_t other = index < workers ? index : base::first_spare + index - workers;
        const uint32_t of_other = lives_.has(other) ? lives_[other].life : 1;
        if (other != worker) {
            put_record(os::Record::make({of_other, other}, life.token, kind, 0));
        }
        break;
    }
    case Noise::forged:
        record.token ^= uint64_t{1} << number / 4 % 64;
        put_record(record);
        break;
    case Noise::stale: // a child of one that has ended
        record = os::Record::make({ghost_.life, ghost_worker_}, ghost_.token, kind, 0);
        put_record(record);
        break;
    case Noise::unknown_kind: {
        constexpr uint8_t kinds[] = {0, 5, 6, 63};
        put_record(os::Record::make({life.life, worker}, life.token,
                                    static_cast<RecordKind>(kinds[number % 4]), 0));
        break;
    }
    case Noise::partial: {
        // So much is missing that what follows does not complete it by chance.
        const uint32_t length = 1 + number / 4 % (record_size - 4);
        put(&record, length, Written{length, 0, 0, kind, 0});
        break;
    }
    case Noise::full:
        put_junk(room(), number);
        break;
    case Noise::count:
        break;
    }
}

// What is no message, or from nobody who may send one.
void Channel::make_noise(uint32_t which, uint32_t how, uint32_t much) {
    const uint32_t worker = world.living.empty() ? 0 : world.living[which % world.living.size()];
    const auto noise = static_cast<Noise>(how % static_cast<uint32_t>(Noise::count));
    if (noise != Noise::full || how / 8 % 16 == 0) {
        write_noise(noise, worker, much);
    } else if (how / 8 % 16 == 1) {
        write_on(much % 600'000, which % 4 == 0 ? UINT32_MAX : worker);
    }
}

// Somebody goes on while the pool reads.
void Channel::write_rest() {
    while (rest_ >= record_size && room() >= record_size) {
        rest_ -= record_size;
        if (life_of(rest_worker_).life == 0) {
            put_junk(record_size, rest_);
        } else {
            put_valid(rest_worker_, RecordKind::heartbeat, 0);
        }
    }
}

// ---- The pool reads -------------------------------------------------------------------------

void Channel::begin_read(Instant now) {
    require(watched_, "messages", "they are read while they are put off");
    require(now == world.clock, "messages", "they are read at another time");
    now_ = now;
    nonsense_ = 0;
    round_ = 0;
}

ssize_t Channel::read(int descriptor, unsigned char *buffer, size_t size) {
    require(descriptor == descriptor_, "messages", "another descriptor is read");
    os::Message skipped{};
    require(!walk(&skipped), "messages", "one is skipped");
    require(round_ < read_max, "messages", "more is read at once than may be");
    require(nonsense_ <= nonsense_max, "messages", "more nonsense is read at once than may be");
    if (interruptions_ > 0) {
        interruptions_ -= 1;
        return -EINTR;
    }
    write_rest();
    const size_t count = std::min(size, bytes_.size() - head_);
    if (count == 0) {
        return -EAGAIN;
    }
    std::memcpy(buffer, bytes_.data() + head_, count);
    head_ += count;
    if (head_ == bytes_.size()) {
        bytes_.clear();
        head_ = 0;
    }
    read_ += count;
    round_ += static_cast<uint32_t>(count);
    return static_cast<ssize_t>(count);
}

bool Channel::is_valid(const Written &written) const {
    const Life life = life_of(written.worker);
    return written.life != 0 && life.life == written.life && !life.floods;
}

// Parses what has been read, as far as the next message.
bool Channel::walk(os::Message *ret_message) {
    while (first_ < written_.size()) {
        const Written &next = written_[first_];
        const uint32_t length = next.length - skipped_;
        if (skipped_ == 0 && is_valid(next)) {
            if (read_ < length) {
                return false;
            }
            const Written record = next;
            first_ += 1;
            read_ -= length;
            if (count(record, ret_message)) {
                return true;
            }
            continue;
        }
        // What could still be the beginning of a record waits for its rest.
        const uint64_t seen = read_ < record_size ? 0 : read_ - record_size + 1;
        const auto part = static_cast<uint32_t>(std::min<uint64_t>(length, seen));
        nonsense_ += part;
        skipped_ += part;
        read_ -= part;
        if (skipped_ < next.length) {
            return false;
        }
        skipped_ = 0;
        first_ += 1;
    }
    written_.clear();
    first_ = 0;
    return false;
}

// Each kind once a life, but for heartbeats; what is twice as much and more is no mistake.
bool Channel::count(const Written &record, os::Message *ret_message) {
    Life &life = lives_[record.worker];
    const uint32_t number = life.counts[static_cast<size_t>(record.kind)] += 1;
    uint64_t most = same_records_max;
    if (record.kind == RecordKind::exit_code) {
        life.exit_code = record.value;
    }
    if (record.kind == RecordKind::heartbeat && options_.heartbeat_timeout != 0) {
        most += 8 * ((now_ - life.begun) / options_.heartbeat_timeout + 1);
    }
    life.floods = number > most;
    if (life.floods) {
        *ret_message = {os::Message::Kind::flood, record.worker};
        return true;
    }
    *ret_message = {record.kind == RecordKind::ready ? os::Message::Kind::ready
                                                     : os::Message::Kind::retire,
                    record.worker};
    return record.kind == RecordKind::ready || record.kind == RecordKind::retire;
}

void Channel::check_next(bool any, const os::Message &message) {
    os::Message wanted{};
    const bool wants = walk(&wanted);
    if (any != wants || (any && (message.kind != wanted.kind || message.worker != wanted.worker))) {
        violate("messages", "of kind %d from worker %u (%d), not of kind %d from worker %u (%d)",
                static_cast<int>(message.kind), message.worker, any, static_cast<int>(wanted.kind),
                wanted.worker, wants);
    }
    if (!any) {
        require(head_ == bytes_.size() || round_ >= read_max || nonsense_ > nonsense_max,
                "messages", "some are not read, for no reason");
        require(round_ < read_max + buffer_max, "messages", "more is read than may be");
        must_pause_ = nonsense_ > 0;
        limited_ = head_ != bytes_.size();
    }
}

void Channel::watch(bool on) {
    require(on != watched_, "messages", "they are put off twice, or not at all");
    watched_ = on;
    if (on) {
        resume_ = never;
    } else {
        require(must_pause_, "messages", "they are put off, but nothing is wrong with them");
        must_pause_ = false;
        resume_ = now_ + pause;
    }
}

void Channel::check_wait() const {
    require(!must_pause_, "messages", "it waits for more nonsense at once");
}

// ---- Starts and ends ------------------------------------------------------------------------

void Channel::begin_life(uint32_t worker, const os::WorkerLink &link, Instant now) {
    const bool is_spare = base::is_spare(worker);
    const size_t places = size_t{is_spare ? worker - base::first_spare : worker} + 1;
    lives_.grow(is_spare ? 0 : places, is_spare ? places : 0);
    require(link.instance.worker == worker && link.instance.life != 0, "channel",
            "a worker is told to be another one");
    require(link.instance.life != ghost_.life && link.token != ghost_.token, "channel",
            "two workers are told to be the same");
    lives_[worker] = Life{};
    lives_[worker].life = link.instance.life;
    lives_[worker].token = link.token;
    lives_[worker].begun = now;
    lives_[worker].has_down = options_.stop_descriptors || is_spare;
}

void Channel::end_life(uint32_t worker) {
    if (life_of(worker).life != 0) {
        ghost_ = lives_[worker];
        ghost_worker_ = worker;
        lives_[worker] = Life{};
    }
}

uint32_t Channel::heartbeats(uint32_t worker) const {
    return life_of(worker).counts[static_cast<size_t>(RecordKind::heartbeat)];
}

int Channel::announced_exit(uint32_t worker) const {
    const Life life = life_of(worker);
    const uint32_t codes = life.counts[static_cast<size_t>(RecordKind::exit_code)];
    return life.life != 0 && codes > 0 ? life.exit_code : -1;
}

// ---- Down -----------------------------------------------------------------------------------

uint32_t &Channel::admission_of(int32_t task_id) {
    const size_t place = task_id == base::task_spare ? 0 : static_cast<size_t>(task_id) + 1;
    admissions_.resize(std::max(admissions_.size(), place + 1));
    return admissions_[place];
}

void Channel::expect(int32_t task_id, int read_end) {
    uint32_t &admission = admission_of(task_id);
    const uint32_t pipe = pipes.pipe_of(read_end);
    require(pipe != 0, "admission", "a child is expected at no pipe");
    require(admission == 0 || admission == pipe, "admission",
            "a child that is expected already waits at another pipe");
    admission = pipe;
}

bool Channel::commanded(int descriptor, const os::Command &sent) {
    command = sent;
    commanded_pipe = pipes.pipe_to_write(descriptor);
    if (sent.kind == os::CommandKind::stop) {
        stopped_ = commanded_pipe;
    }
    if (sent.kind == os::CommandKind::refused) {
        const auto slot = std::find(admissions_.begin(), admissions_.end(), commanded_pipe);
        require(slot != admissions_.end(), "admission", "somebody is refused who does not wait");
        *slot = 0;
    }
    return !std::exchange(deaf_, false);
}

void Channel::let_go(uint32_t spare) { lives_[spare].has_down = false; }

// Whoever waits to be admitted has been refused.
void Channel::close() {
    for (const uint32_t pipe : admissions_) {
        require(pipe == 0, "admission", "a child may wait for ever");
    }
    resume_ = never;
}

void Channel::check_descriptors() const {
    if (world.closed) {
        return;
    }
    uint32_t wanted = 2;
    for (const std::vector<Life> *list : {&lives_.workers, &lives_.spares}) {
        for (const Life &life : *list) {
            wanted += life.has_down ? 1 : 0;
        }
    }
    for (const uint32_t pipe : admissions_) {
        wanted += pipe != 0 ? 2 : 0;
    }
    if (pipes.open_count() != wanted) {
        violate("descriptors", "%u are open, not %u", pipes.open_count(), wanted);
    }
}

} // namespace sim
