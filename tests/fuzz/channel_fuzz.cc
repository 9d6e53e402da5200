// What workers write into the pipe of their pool, among other bytes, in any pieces.
//
// The input: the size of reads, the time-out of heartbeats, and then what happens.
//
// SPDX-License-Identifier: MIT
#include <deque>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "fake_system.h"
#include "input.h"
#include "os/channel/supervisor_channel.h"

using prefork::base::second;
using prefork::os::Message;
using prefork::os::Record;
using prefork::os::RecordKind;
using prefork::os::SupervisorChannel;
using prefork::os::WorkerLink;

namespace {

constexpr uint32_t workers = 8;
constexpr uint32_t sends_max = 8; // of each kind in a life; one more is a flood
constexpr int rounds_max = 64;    // until all of a full pipe has been read

struct Sent {
    uint32_t worker;
    uint32_t life;
    uint8_t kind;
    uint8_t value;
};

// What a supervisor must think of one worker.
struct Expected {
    uint32_t life = 0;
    prefork::base::Instant begun = 0;
    uint32_t heartbeats = 0;
    uint32_t counts[5] = {}; // by kind
    int exit_code = -1;
    bool floods = false;
};

class Pool {
  public:
    Pool(prefork::base::Duration timeout, fuzz::Input *input) : timeout_(timeout), input_(input) {
        EXPECT(channel_.open({input->below(2) != 0, false, timeout}) == 0);
        EXPECT(channel_.grow(workers, 0));
        for (uint32_t worker = 0; worker < workers; worker++) {
            restart(worker);
        }
    }

    void play() {
        while (!input_->is_empty()) {
            step();
        }
        for (int round = 0; round < rounds_max && !read_round(); round++) {
        }
        EXPECT(read_round());
    }

  private:
    void step();
    void restart(uint32_t worker);
    void end(uint32_t worker);
    void send(uint32_t worker, bool is_true);
    void send_part(uint32_t worker);
    ssize_t write_bytes(const void *data, size_t size) const {
        return write(links_[0].up, data, size);
    }
    bool read_round();
    bool next_expected(Message *ret_message);
    bool apply(const Sent &sent, Message *ret_message);

    SupervisorChannel channel_;
    WorkerLink links_[workers];
    Expected expected_[workers];
    std::deque<Sent> sent_; // and not read, as far as is known
    prefork::base::Duration timeout_;
    prefork::base::Instant now_ = 1000 * second;
    fuzz::Input *input_;
};

void Pool::restart(uint32_t worker) {
    links_[worker] = channel_.link_of_all();
    EXPECT(channel_.begin_start(worker, now_, &links_[worker]) == 0);
    channel_.end_start(worker, true);
    EXPECT(links_[worker].instance.worker == worker);
    EXPECT(links_[worker].instance.life > expected_[worker].life);
    expected_[worker] = {links_[worker].instance.life, now_, 0, {}, -1, false};
}

void Pool::end(uint32_t worker) {
    channel_.ended(worker);
    const uint32_t life = expected_[worker].life;
    expected_[worker] = {};
    expected_[worker].life = life;
    expected_[worker].floods = true; // nothing that it has sent counts any more
}

// With the token of another worker or of none, it must not be believed.
void Pool::send(uint32_t worker, bool is_true) {
    const WorkerLink &link = links_[worker];
    const auto kind = static_cast<uint8_t>(input_->below(6));
    const uint8_t value = input_->byte();
    uint64_t token = link.token;
    if (!is_true) {
        const uint32_t other = input_->below(workers);
        token = other == worker ? token ^ (1 + input_->byte()) : links_[other].token;
    }
    const Record record = Record::make(link.instance, token, static_cast<RecordKind>(kind), value);
    if (write_bytes(&record, sizeof(record)) > 0 && is_true) {
        sent_.push_back({worker, link.instance.life, kind, value});
    }
}

// Never the end of the token: what completes it would be a record.
void Pool::send_part(uint32_t worker) {
    constexpr uint32_t part_end = sizeof(Record) - sizeof(uint32_t);
    const WorkerLink &link = links_[worker];
    const Record record = Record::make(link.instance, link.token, RecordKind::ready, 0);
    const uint32_t from = input_->below(part_end);
    const uint32_t size = input_->below(part_end);
    const uint32_t left = part_end - from;
    (void)write_bytes(reinterpret_cast<const char *>(&record) + from, size < left ? size : left);
}

bool Pool::apply(const Sent &sent, Message *ret_message) {
    Expected &worker = expected_[sent.worker];
    if (worker.life != sent.life || worker.floods || sent.kind < 1 || sent.kind > 4) {
        return false;
    }
    worker.counts[sent.kind] += 1;
    worker.floods = sent.kind != static_cast<uint8_t>(RecordKind::heartbeat) &&
                    worker.counts[sent.kind] > sends_max;
    *ret_message = {Message::Kind::ready, sent.worker};
    switch (static_cast<RecordKind>(sent.kind)) {
    case RecordKind::ready:
        break;
    case RecordKind::retire:
        ret_message->kind = Message::Kind::retire;
        break;
    case RecordKind::heartbeat: {
        const uint64_t timeouts = timeout_ == 0 ? 0 : (now_ - worker.begun) / timeout_ + 1;
        worker.heartbeats += 1;
        worker.floods = worker.heartbeats > sends_max + timeouts * 8;
        break;
    }
    case RecordKind::exit_code:
        worker.exit_code = sent.value;
        break;
    }
    if (worker.floods) {
        ret_message->kind = Message::Kind::flood;
    }
    return worker.floods || ret_message->kind == Message::Kind::retire ||
           sent.kind == static_cast<uint8_t>(RecordKind::ready);
}

bool Pool::next_expected(Message *ret_message) {
    while (!sent_.empty()) {
        const Sent sent = sent_.front();
        sent_.pop_front();
        if (apply(sent, ret_message)) {
            return true;
        }
    }
    return false;
}

// Returns whether all that was sent has been read.
bool Pool::read_round() {
    channel_.begin_read(now_);
    int before = 0;
    int left = 0;
    EXPECT(ioctl(channel_.descriptor(), FIONREAD, &before) == 0);
    Message message{};
    Message expected{};
    while (channel_.next(&message)) {
        EXPECT(next_expected(&expected));
        EXPECT(message.worker == expected.worker && message.kind == expected.kind);
    }
    EXPECT(ioctl(channel_.descriptor(), FIONREAD, &left) == 0);
    EXPECT(before == 0 || left < before); // it gets on
    if (left > 0) {
        EXPECT(channel_.met_nonsense());
        return false;
    }
    EXPECT(!next_expected(&expected));
    for (uint32_t worker = 0; worker < workers; worker++) {
        const Expected &state = expected_[worker];
        EXPECT(state.floods || channel_.heartbeats(worker) == state.heartbeats);
        EXPECT(state.floods || channel_.announced_exit(worker) == state.exit_code);
    }
    return true;
}

void Pool::step() {
    const uint32_t what = input_->below(16);
    const uint32_t worker = input_->below(workers);
    switch (what) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        send(worker, true);
        break;
    case 5: // too often
        for (uint32_t count = input_->below(24); count > 0; count--) {
            send(worker, true);
        }
        break;
    case 6:
        send(worker, false);
        break;
    case 7:
        send_part(worker);
        break;
    case 8:
    case 9: {
        const std::string_view bytes = input_->bytes(input_->byte());
        (void)write_bytes(bytes.data(), bytes.size());
        break;
    }
    case 10: { // a pipe full of nonsense
        const std::string bytes(4096, static_cast<char>(input_->byte()));
        for (uint32_t count = input_->below(20); count > 0; count--) {
            (void)write_bytes(bytes.data(), bytes.size());
        }
        break;
    }
    case 11:
        restart(worker);
        break;
    case 12:
        end(worker);
        break;
    case 13:
        channel_.ask_to_stop(worker);
        break;
    case 14:
        now_ += input_->byte() * (second / 10);
        break;
    default:
        (void)read_round();
        break;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const int before = fuzz::lowest_free_descriptor();
    fuzz::FakeSystem::set_read_size(input.byte());
    const prefork::base::Duration timeout = input.below(8) * second;
    {
        Pool pool(timeout, &input);
        pool.play();
    }
    fuzz::FakeSystem::set_read_size(0);
    EXPECT(fuzz::lowest_free_descriptor() == before);
    return 0;
}
