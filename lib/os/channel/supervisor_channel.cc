// SPDX-License-Identifier: MIT
#include "os/channel/supervisor_channel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <utility>

#include "os/fd/pipe.h"
#include "os/fd/pipe_write.h"

namespace prefork::os {

namespace {

// What is read between two waits, and how much of it may be nonsense.
constexpr uint32_t bytes_per_read = 4 * 64 * 1024;
constexpr uint32_t nonsense_per_read = 64 * 1024; // a full pipe: others get room in it

// A worker sends heartbeats four times a time-out, and everything else once in its life. What goes
// beyond twice that is no mistake of its clock.
constexpr uint32_t records_max = 8;
constexpr uint32_t heartbeats_sent_per_timeout = 4;
constexpr uint32_t heartbeats_allowed_per_timeout = 8;

} // namespace

SupervisorChannel::~SupervisorChannel() {
    close();
    for (uint32_t index = 0; index < states_.size(); index++) {
        ended(states_.id_at(index));
    }
}

int SupervisorChannel::open(const ChannelOptions &options) {
    options_ = options;
    if (int r = key_.open(); r < 0) {
        return r;
    }
    if (int r = open_pipe(&read_end_, &write_end_, true); r < 0) {
        return r;
    }
    // A worker keeps the write end. What follows it is closed there by one system call.
    put_write_end_first(&read_end_, &write_end_);
    return file_.capture(read_end_.get()) ? 0 : -errno;
}

bool SupervisorChannel::grow(uint32_t workers, uint32_t spares) {
    const uint32_t workers_before = states_.workers();
    const uint32_t spares_before = states_.spares();
    const size_t slots = admissions_.size();
    if (!states_.grow(workers) || !states_.grow_spares(spares) ||
        (options_.host_fork && !admissions_.grow(workers))) {
        return false;
    }
    for (uint32_t worker = workers_before; worker < states_.workers(); worker++) {
        states_[worker].stop_end = -1;
    }
    for (uint32_t place = spares_before; place < states_.spares(); place++) {
        states_[base::first_spare + place].stop_end = -1;
    }
    for (size_t slot = slots; slot < admissions_.size(); slot++) {
        admissions_[slot] = {-1, -1};
    }
    return true;
}

WorkerLink SupervisorChannel::link_of_all() const {
    WorkerLink link;
    link.up = write_end_.get();
    link.up_file = file_;
    link.keeps_down = options_.stop_descriptors;
    if (options_.heartbeat_timeout != 0) {
        link.heartbeat_interval = options_.heartbeat_timeout / heartbeats_sent_per_timeout + 1;
    }
    return link;
}

// ---- Starts and ends --------------------------------------------------------------------------

Instance SupervisorChannel::next_instance(uint32_t worker, base::Instant now) {
    lives_ = lives_ == INT32_MAX ? 1 : lives_ + 1;
    State fresh{};
    fresh.life = lives_;
    fresh.begun = now;
    fresh.stop_end = -1;
    states_[worker] = fresh;
    return {lives_, worker};
}

uint64_t SupervisorChannel::token_of(const Instance &instance) const {
    return SipHash(key_.get()).of(instance.number());
}

int SupervisorChannel::open_down(Descriptor *ret_read_end, int *ret_write_end) {
    Descriptor write_end;
    if (int r = open_pipe(ret_read_end, &write_end, true); r < 0) {
        return r;
    }
    *ret_write_end = write_end.release();
    return 0;
}

int SupervisorChannel::begin_start(uint32_t worker, base::Instant now, WorkerLink *ret_link) {
    ended(worker);
    int stop_end = -1;
    if (options_.stop_descriptors || base::is_spare(worker)) {
        if (int r = open_down(&worker_end_, &stop_end); r < 0) {
            return r;
        }
    }
    ret_link->instance = next_instance(worker, now);
    SipHash hash(key_.get());
    ret_link->token = hash.of(ret_link->instance.number());
    ret_link->seed = hash.second();
    ret_link->down = worker_end_.get();
    ret_link->is_spare = base::is_spare(worker);
    states_[worker].stop_end = stop_end;
    return 0;
}

void SupervisorChannel::end_start(uint32_t worker, bool started) {
    worker_end_.reset();
    if (!started) {
        ended(worker);
    }
}

void SupervisorChannel::ended(uint32_t worker) {
    State &state = states_[worker];
    state.life = 0;
    close_end(&state.stop_end);
}

void SupervisorChannel::close_end(int *descriptor) {
    if (*descriptor >= 0) {
        forget_descriptor(*descriptor);
        if (is_pipe(*descriptor)) { // else the host has closed it, and opened a file of its own
            ::close(*descriptor);
        }
        *descriptor = -1;
    }
}

int SupervisorChannel::announced_exit(uint32_t worker) const {
    const State &state = states_[worker];
    return state.life != 0 && state.exits > 0 ? state.exit_code : -1;
}

// ---- Up -----------------------------------------------------------------------------------------

void SupervisorChannel::begin_read(base::Instant now) {
    now_ = now;
    budget_ = bytes_per_read;
    nonsense_ = 0;
}

bool SupervisorChannel::refill() {
    const uint32_t rest = length_ - position_;
    memmove(buffer_, buffer_ + position_, rest);
    position_ = 0;
    length_ = rest;
    if (budget_ == 0 || nonsense_ > nonsense_per_read || !is_whole()) {
        return false;
    }
    ssize_t count = 0;
    do {
        count = read(read_end_.get(), buffer_ + rest, buffer_size - rest);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        return false; // nothing more
    }
    length_ += static_cast<uint32_t>(count);
    budget_ -= budget_ < static_cast<uint32_t>(count) ? budget_ : static_cast<uint32_t>(count);
    return true;
}

// The cheap checks come first: most nonsense fails there.
bool SupervisorChannel::is_valid(const Record &record) const {
    const uint32_t worker = record.worker();
    const uint32_t kind = record.kind();
    return states_.has(worker) && record.life != 0 && states_[worker].life == record.life &&
           !states_[worker].floods && kind >= static_cast<uint32_t>(RecordKind::ready) &&
           kind <= static_cast<uint32_t>(RecordKind::retire) &&
           record.token == token_of({record.life, worker});
}

bool SupervisorChannel::next(Message *ret_message) {
    for (;;) {
        if (length_ - position_ < sizeof(Record)) {
            if (!refill()) {
                return false;
            }
            continue;
        }
        Record record;
        memcpy(&record, buffer_ + position_, sizeof(record));
        if (!is_valid(record)) {
            // Whatever was written in between, the next record begins at some byte after it.
            position_ += 1;
            nonsense_ += 1;
            continue;
        }
        position_ += static_cast<uint32_t>(sizeof(record));
        if (apply(record, ret_message)) {
            return true;
        }
    }
}

// Heartbeats that a paused supervisor finds all at once have been sent over the time that it
// slept, so what counts is the whole life of the worker.
bool SupervisorChannel::may_beat(const State &state) const {
    const base::Duration timeout = options_.heartbeat_timeout;
    const uint64_t timeouts = timeout == 0 ? 0 : base::elapsed(state.begun, now_) / timeout + 1;
    return state.heartbeats <= records_max + timeouts * heartbeats_allowed_per_timeout;
}

// Returns whether there is a message.
bool SupervisorChannel::apply(const Record &record, Message *ret_message) {
    State &state = states_[record.worker()];
    *ret_message = {Message::Kind::ready, record.worker()};
    bool tells = false;
    switch (static_cast<RecordKind>(record.kind())) {
    case RecordKind::ready:
        state.readies += 1;
        state.floods = state.readies > records_max;
        tells = true;
        break;
    case RecordKind::retire:
        ret_message->kind = Message::Kind::retire;
        state.retires += 1;
        state.floods = state.retires > records_max;
        tells = true;
        break;
    case RecordKind::heartbeat:
        state.heartbeats += 1;
        state.floods = !may_beat(state);
        break;
    case RecordKind::exit_code:
        state.exits += 1;
        state.exit_code = record.value();
        state.floods = state.exits > records_max;
        break;
    }
    if (state.floods) {
        ret_message->kind = Message::Kind::flood;
    }
    return tells || state.floods;
}

uint32_t SupervisorChannel::heartbeats(uint32_t worker) const { return states_[worker].heartbeats; }

// ---- Down ---------------------------------------------------------------------------------------

// A worker that has closed its end does not want to know; that it reads nothing is its own matter.
// Returns 0 or a negative errno.
int SupervisorChannel::write_down(int descriptor, const Command &command) const {
    // Where the host has closed the library's descriptors, the number means something else by now.
    if (descriptor < 0 || !is_whole() || !is_pipe(descriptor)) {
        return -EBADF;
    }
    const ssize_t result = write_without_sigpipe(descriptor, &command, sizeof(command));
    return result < 0 ? static_cast<int>(result) : 0;
}

void SupervisorChannel::ask_to_stop(uint32_t worker) {
    const int result = write_down(states_[worker].stop_end, {CommandKind::stop, 0, {}, 0});
    // The end of the pipe asks for the same, and needs no memory. The stop descriptor of a spare
    // shows nothing else.
    if (base::is_spare(worker) || (result < 0 && result != -EBADF)) {
        close_end(&states_[worker].stop_end);
    }
}

int SupervisorChannel::take_over(uint32_t spare, uint32_t worker, base::Instant now) {
    ended(worker);
    const Instance instance = next_instance(worker, now);
    const auto slot = static_cast<int32_t>(worker / 2);
    const Command command = {CommandKind::take_slot, slot, instance, token_of(instance)};
    if (int r = write_down(states_[spare].stop_end, command); r < 0) {
        ended(worker);
        return r;
    }
    if (options_.stop_descriptors) {
        states_[worker].stop_end = std::exchange(states_[spare].stop_end, -1);
    }
    ended(spare);
    return 0;
}

SupervisorChannel::Admission *SupervisorChannel::admission_of(int32_t task_id) {
    return task_id == base::task_spare ? &spare_admission_
                                       : &admissions_[static_cast<uint32_t>(task_id)];
}

int SupervisorChannel::expect_fork(int32_t task_id) {
    Admission &admission = *admission_of(task_id);
    if (admission.read_end >= 0) {
        return 0; // a child of an earlier request may wait there
    }
    Descriptor read_end;
    if (int r = open_down(&read_end, &admission.write_end); r < 0) {
        return r;
    }
    admission.read_end = read_end.release();
    return 0;
}

int SupervisorChannel::admission_end(int32_t task_id) const {
    if (task_id == base::task_spare) {
        return spare_admission_.read_end;
    }
    const auto slot = static_cast<uint32_t>(task_id);
    return slot < admissions_.size() ? admissions_[slot].read_end : -1;
}

int SupervisorChannel::admit(int32_t task_id, uint32_t worker, int32_t pid, base::Instant now) {
    Admission &admission = *admission_of(task_id);
    if (admission.read_end < 0) {
        return -ESRCH;
    }
    ended(worker);
    const Instance instance = next_instance(worker, now);
    const int result =
        write_down(admission.write_end, {CommandKind::admitted, pid, instance, token_of(instance)});
    close_end(&admission.read_end);
    // At the end of the pipe a child that was not admitted would end, by a status of its own.
    if (options_.stop_descriptors || base::is_spare(worker) || result < 0) {
        states_[worker].stop_end = admission.write_end;
        admission.write_end = -1;
    }
    close_end(&admission.write_end);
    return result;
}

void SupervisorChannel::close() {
    for (uint32_t slot = 0; slot < admissions_.size(); slot++) {
        end_admission(&admissions_[slot]);
    }
    end_admission(&spare_admission_);
}

void SupervisorChannel::end_admission(Admission *admission) {
    (void)write_down(admission->write_end, {CommandKind::refused, 0, {}, 0});
    close_end(&admission->read_end);
    close_end(&admission->write_end);
}

void SupervisorChannel::let_go_of_lost() {
    if (is_whole()) {
        if (!file_.matches(write_end_.get())) {
            write_end_.lose();
        }
        return;
    }
    for (uint32_t index = 0; index < states_.size(); index++) {
        forget_descriptor(std::exchange(states_[states_.id_at(index)].stop_end, -1));
    }
    for (uint32_t slot = 0; slot < admissions_.size(); slot++) {
        forget_descriptor(std::exchange(admissions_[slot].read_end, -1));
        forget_descriptor(std::exchange(admissions_[slot].write_end, -1));
    }
    forget_descriptor(std::exchange(spare_admission_.read_end, -1));
    forget_descriptor(std::exchange(spare_admission_.write_end, -1));
    read_end_.lose();
    write_end_.lose();
    worker_end_.lose();
}

void SupervisorChannel::disown() {
    key_.disown();
    states_.reset();
    admissions_.reset();
    spare_admission_ = {-1, -1};
    read_end_.disown();
    write_end_.disown();
    worker_end_.disown();
}

} // namespace prefork::os
