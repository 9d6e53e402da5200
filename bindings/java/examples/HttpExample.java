// HttpExample.java - an HTTP server of the JDK in several worker processes
//
// SPDX-License-Identifier: MIT
//
//   PORT=8000 WORKERS=4 java --enable-native-access=ALL-UNNAMED -cp prefork.jar HttpExample.java
//
// HUP replaces all workers without losing a request, TERM and Ctrl-C stop. SPARES=1 keeps a worker
// that is started ahead of need. Compile it for a faster start of workers.

import com.sun.net.httpserver.Filter;
import com.sun.net.httpserver.HttpServer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import libprefork.Event;
import libprefork.Listener;
import libprefork.Pool;
import libprefork.Prefork;
import libprefork.Signals;
import libprefork.Worker;

public final class HttpExample {
    private static final Duration DRAIN = Duration.ofSeconds(5);

    public static void main(String[] args) {
        // The same call in a worker returns the supervisor's socket.
        Listener listener = Listener.bind("127.0.0.1", setting("PORT", 8000));
        int signal;
        try (Pool pool = Pool.builder()
                .name("http")
                .workers(setting("WORKERS", 0))
                .spares(setting("SPARES", 0))
                .worker(taskId -> serve(taskId, listener))
                .readyTimeout(Duration.ofSeconds(60))
                .signals(Signals.STANDARD)
                .start()) {
            for (Event event : pool) {
                System.err.println(event.message());
            }
            signal = pool.stopSignal();
        }
        Prefork.dieOfSignal(signal);
    }

    private static int setting(String name, int otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : Integer.parseInt(value);
    }

    private static void serve(int taskId, Listener listener) throws Exception {
        System.setProperty("sun.net.httpserver.nodelay", "true");
        byte[] body = "hello from pid %d, task %d\n"
                .formatted(ProcessHandle.current().pid(), taskId).getBytes(StandardCharsets.UTF_8);
        HttpServer server = HttpServer.create(Listener.PLACEHOLDER, 0);
        ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
        server.setExecutor(executor);
        server.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        }).getFilters().add(Filter.beforeHandler("close when stopping", exchange -> {
            if (Worker.isStopping()) {
                exchange.getResponseHeaders().set("Connection", "close");
            }
        }));
        listener.attach(server.getAddress());
        server.start();
        Worker.isStopping(); // from here on a stop request does not end the process by itself
        Worker.ready();
        Worker.awaitStop();
        // Other workers accept what comes. Connections that are open get their answers.
        listener.drain(DRAIN);
        server.stop(0);
        executor.close();
    }
}
