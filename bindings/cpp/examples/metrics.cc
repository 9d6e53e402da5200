// metrics.cc - the counters of a pool for prometheus-cpp, from the event loop of the supervisor
//
//   PORT=9090 WORKERS=2 ./metrics    # then: curl http://127.0.0.1:9090/metrics
//
// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <poll.h>
#include <prefork.hpp>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>

using prefork::Counter;

// A registry of prometheus-cpp collects from it, too. Its threads belong into a process that forks
// no workers, or whose workers are made by exec.
class PoolMetrics : public prometheus::Collectable {
  public:
    explicit PoolMetrics(const prefork::Pool &pool) : pool_(pool) {}

    std::vector<prometheus::MetricFamily> Collect() const override {
        return {total("workers_started", "Workers that were started", Counter::started),
                total("workers_exited", "Workers that have ended", Counter::exited),
                total("workers_abnormal", "Workers that failed", Counter::abnormal),
                total("workers_restarted", "Restarts after an end", Counter::restarted),
                total("starts_failed", "Starts that failed", Counter::start_failed),
                total("workers_unresponsive", "Workers that hung", Counter::unresponsive),
                total("reloads", "Reloads that have begun", Counter::reloads),
                total("replacements_failed", "Replacements that failed", Counter::replace_failed),
                gauge("workers_ready", "Workers that are ready now", Counter::ready),
                gauge("workers_alive", "Processes of workers now", Counter::alive),
                gauge("spares", "Spares now", Counter::spares)};
    }

  private:
    prometheus::MetricFamily total(const char *name, const char *help, Counter counter) const {
        prometheus::ClientMetric metric;
        metric.counter.value = static_cast<double>(pool_.counter(counter));
        return {"prefork_" + std::string(name) + "_total",
                help,
                prometheus::MetricType::Counter,
                {metric}};
    }
    prometheus::MetricFamily gauge(const char *name, const char *help, Counter counter) const {
        prometheus::ClientMetric metric;
        metric.gauge.value = static_cast<double>(pool_.counter(counter));
        return {"prefork_" + std::string(name), help, prometheus::MetricType::Gauge, {metric}};
    }

    const prefork::Pool &pool_;
};

static void answer(const prefork::Descriptor &client, const prefork::Pool &pool) {
    char request[4096];
    pollfd one{client.get(), POLLIN, 0};
    if (::poll(&one, 1, 1000) <= 0 || ::recv(client.get(), request, sizeof request, 0) <= 0) {
        return;
    }
    const std::string body = prometheus::TextSerializer().Serialize(PoolMetrics(pool).Collect());
    const std::string whole = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                              "Connection: close\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body;
    ::send(client.get(), whole.data(), whole.size(), MSG_NOSIGNAL);
}

static int number(const char *name, int usual) {
    const char *text = std::getenv(name);
    return text == nullptr ? usual : std::atoi(text);
}

int main() {
    try {
        const auto sockets = prefork::bind_sockets("127.0.0.1", number("PORT", 9090));
        prefork::Settings settings;
        settings.workers = number("WORKERS", 2);
        settings.signals = prefork::Signals::standard;
        settings.stop_signal = 0;
        prefork::Pool pool(settings);
        pool.start([] { prefork::this_worker::wait_for_stop(); });
        pollfd both[2] = {{pool.descriptor(), POLLIN, 0}, {sockets.at(0).get(), POLLIN, 0}};
        while (pool.dispatch(std::chrono::milliseconds(0))) {
            for (const prefork::Event &event : pool.pending()) {
                std::cerr << event.message << '\n';
            }
            if (const auto client = prefork::accept(sockets.at(0).get())) {
                answer(*client, pool);
            }
            ::poll(both, 2, -1);
        }
    } catch (const std::exception &exception) {
        std::cerr << "metrics: " << exception.what() << '\n';
        return EXIT_FAILURE;
    }
}
