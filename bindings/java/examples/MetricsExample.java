// MetricsExample.java - the counters of a pool, in Prometheus' format
//
// SPDX-License-Identifier: MIT
//
//   PORT=9400 WORKERS=2 java --enable-native-access=ALL-UNNAMED -cp CLASSPATH MetricsExample.java
//
// CLASSPATH has prefork.jar and, with what they need, prometheus-metrics-core and
// prometheus-metrics-exporter-httpserver. The supervisor answers GET /metrics.

import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.exporter.httpserver.HTTPServer;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.util.Set;
import libprefork.Counter;
import libprefork.Event;
import libprefork.Pool;
import libprefork.Prefork;
import libprefork.Signals;
import libprefork.Worker;

public final class MetricsExample {
    private static final Set<Counter> AT_PRESENT =
            Set.of(Counter.READY, Counter.ALIVE, Counter.SPARES);

    public static void main(String[] args) throws IOException {
        int signal;
        try (Pool pool = Pool.builder()
                .name("metrics")
                .workers(Integer.parseInt(System.getenv().getOrDefault("WORKERS", "2")))
                .worker(taskId -> Worker.awaitStop())
                .signals(Signals.STANDARD)
                .start()) {
            // Only the supervisor comes here.
            PrometheusRegistry registry = new PrometheusRegistry();
            register(pool, registry);
            try (HTTPServer server = HTTPServer.builder()
                    .port(Integer.parseInt(System.getenv().getOrDefault("PORT", "9400")))
                    .registry(registry)
                    .buildAndStart()) {
                System.err.println("http://127.0.0.1:" + server.getPort() + "/metrics");
                for (Event event : pool) {
                    System.err.println(event.message());
                }
            }
            signal = pool.stopSignal();
        }
        Prefork.dieOfSignal(signal);
    }

    private static void register(Pool pool, PrometheusRegistry registry) {
        for (Counter counter : Counter.values()) {
            String name = "prefork_" + counter.name().toLowerCase();
            String help = "Counter." + counter + " of the pool";
            if (AT_PRESENT.contains(counter)) {
                GaugeWithCallback.builder().name(name).help(help)
                        .callback(gauge -> gauge.call(pool.counter(counter))).register(registry);
            } else {
                CounterWithCallback.builder().name(name).help(help)
                        .callback(count -> count.call(pool.counter(counter))).register(registry);
            }
        }
    }
}
