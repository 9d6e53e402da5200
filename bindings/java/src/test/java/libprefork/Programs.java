// SPDX-License-Identifier: MIT
package libprefork;

import java.io.InputStream;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.channels.Pipe;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Arrays;

/** The programs that the tests start: supervisors, and the workers of both. */
public final class Programs {
    private Programs() {}

    /** Pool name, what its workers do, and for a supervisor its number of workers and signals. */
    public static void main(String[] args) throws Exception {
        if (args[0].equals("load")) {
            Prefork.version();
            return;
        }
        PoolBuilder builder = Pool.builder().name(args[0]).worker(task -> work(args[1], task))
                .stopTimeout(Duration.ofSeconds(args[1].equals("deaf") ? 1 : 10));
        if (args.length > 2) {
            builder.workers(Integer.parseInt(args[2])).maxRestarts(2)
                    .signals(Signals.valueOf(args[3].replace("HOOK", "NONE")));
        }
        Listener listener = args[1].startsWith("accept") ? Listener.bind("127.0.0.1", 0) : null;
        ServerSocket leak = args[1].equals("leak") ? new ServerSocket(0) : null;
        if (Worker.poolName() == null) {
            pipe = Pipe.open(); // not yet old enough to be close-on-exec
            say("supervisor", Worker.taskId(), ProcessHandle.current().pid());
            if (listener != null) {
                say("port", listener.port());
            }
        }
        shared = listener;
        leaked = leak;
        int signal = 0;
        try (Pool pool = builder.start()) {
            if (args.length > 3 && args[3].equals("HOOK")) {
                Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                    pool.close();
                    say("closed");
                }));
            }
            for (Event event : pool) {
                say("event", event.type(), event.taskId(), event.pid(), event.exitCode(),
                        event.signal(), System.nanoTime(), event.message());
            }
            signal = pool.stopSignal();
        } catch (GaveUpException e) {
            say("gave-up", e.code(), e.lastExit().orElseThrow().exitCode(), e.getMessage());
            System.exit(5);
        }
        say("end", signal);
        Prefork.dieOfSignal(signal);
    }

    private static Pipe pipe;
    private static Listener shared;
    private static ServerSocket leaked;

    static synchronized void say(Object... words) {
        System.out.println(String.join(" ", Arrays.stream(words).map(String::valueOf).toList()));
        System.out.flush();
    }

    private static void work(String what, int task) throws Exception {
        say("worker", task, ProcessHandle.current().pid(), Worker.taskId(), Worker.poolName());
        switch (what) {
            case "exit" -> { }
            case "fail" -> System.exit(task == 0 ? 7 : 0);
            case "throw" -> throw new IllegalStateException("thrown by the worker");
            // Knows nothing of a stop: ends as a JVM does.
            case "sleep" -> Thread.sleep(Duration.ofHours(1));
            // Its first look at the stop is while the JVM ends.
            case "hook" -> {
                Runtime.getRuntime().addShutdownHook(
                        new Thread(() -> say("stopping", Worker.isStopping())));
                say("staying", task);
                Thread.sleep(Duration.ofHours(1));
            }
            case "stay" -> {
                Worker.onStop(() -> say("stopping", task));
                say("staying", task);
                Worker.ready();
                Worker.awaitStop();
            }
            case "deaf" -> {
                Worker.isStopping();
                Worker.ready();
                Thread.sleep(Duration.ofHours(1));
            }
            case "retire" -> {
                Worker.isStopping();
                Worker.ready();
                if (task == 0) {
                    Worker.retire();
                }
                Worker.heartbeat();
                Worker.awaitStop();
            }
            case "leak" -> {
                say("sockets", Descriptors.open().stream().filter(fd -> {
                    byte[] address = Descriptors.address(fd, false);
                    return address != null && Descriptors.isInternet(address);
                }).count() - (leaked == null ? 0 : 1));
                say("pipes", Descriptors.open().stream().filter(fd -> fd > 2
                        && Native.integer("fcntl", fd, 1) == 0
                        && Descriptors.file(fd).startsWith("pipe:")).count());
                Worker.awaitStop();
            }
            case "fd" -> {
                try (Listener given = Listener.of(Worker.fd("given"));
                        ServerSocketChannel channel = given.open()) {
                    answer(channel, task);
                }
            }
            case "accept" -> {
                try (ServerSocketChannel channel = shared.open()) {
                    answer(channel, task);
                }
            }
            case "accept-drain" -> drain();
            default -> throw new IllegalArgumentException(what);
        }
    }

    /** Answers one connection, and ends when it is closed. */
    private static void answer(ServerSocketChannel channel, int task) throws Exception {
        try (SocketChannel connection = channel.accept()) {
            Socket socket = connection.socket();
            socket.getOutputStream().write(("task " + task + "\n").getBytes());
            InputStream input = socket.getInputStream();
            while (input.read() >= 0) {
                continue;
            }
        }
    }

    /** Accepts one connection, keeps it, and accepts no more. */
    private static void drain() throws Exception {
        Worker.isStopping();
        ServerSocketChannel channel = shared.open();
        SocketChannel connection = channel.accept();
        Thread.ofPlatform().daemon().start(() -> {
            try {
                say("second", channel.accept());
            } catch (Exception e) {
                say("second", e);
            }
        });
        say("connections", shared.connections());
        say("drained", shared.drain(Duration.ofMillis(50)));
        connection.write(java.nio.ByteBuffer.wrap("detached\n".getBytes()));
        while (connection.read(java.nio.ByteBuffer.allocate(16)) >= 0) {
            continue;
        }
        connection.close();
        say("drained", shared.drain(Duration.ofSeconds(60)));
        Worker.awaitStop();
    }
}
