// HttpExample.java - an HTTP server of the JDK in several worker processes
//
// SPDX-License-Identifier: MIT
//
//   PORT=8000 WORKERS=4 java --enable-native-access=ALL-UNNAMED -cp prefork.jar HttpExample.java
//
// HUP replaces all workers without losing a request, TERM and Ctrl-C stop. SPARES=1 keeps a worker
// that is started ahead of need. Compile it for a faster start of workers.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.Executors;
import libprefork.Event;
import libprefork.Listener;
import libprefork.Pool;
import libprefork.Prefork;
import libprefork.Signals;
import libprefork.Worker;

public final class HttpExample {
    private static final Duration DRAIN = Duration.ofSeconds(5);

    public static void main(String[] args) throws IOException {
        // The same call in a worker returns the supervisor's socket.
        Listener listener = Listener.bind("127.0.0.1", setting("PORT", 8000));
        // A spare does this ahead of need.
        HttpServer server = Worker.taskId() == -1 ? null : create(listener);
        int signal;
        try (Pool pool = Pool.builder()
                .name("http")
                .workers(setting("WORKERS", 0))
                .spares(setting("SPARES", 0))
                .worker(taskId -> serve(listener, server))
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

    /** A server that does not accept yet. */
    private static HttpServer create(Listener listener) throws IOException {
        System.setProperty("sun.net.httpserver.nodelay", "true");
        HttpServer server = HttpServer.create(Listener.PLACEHOLDER, 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", HttpExample::answer);
        listener.attach(server.getAddress());
        return server;
    }

    private static void answer(HttpExchange exchange) throws IOException {
        byte[] body = ("hello from pid " + ProcessHandle.current().pid() + ", task "
                + Worker.taskId() + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.getRequestBody().readAllBytes();
        if (Worker.isStopping()) {
            exchange.getResponseHeaders().set("Connection", "close");
        }
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static void serve(Listener listener, HttpServer server) throws InterruptedException {
        Worker.isStopping(); // from here on a stop request does not end the process by itself
        server.start();
        Worker.ready();
        Worker.awaitStop();
        // Other workers accept what comes. Connections that are open get their answers.
        listener.drain(DRAIN);
        server.stop(1);
    }
}
