// Loop.java - what measure.sh compares with: workers by ProcessBuilder, in a hand-written loop
//
// SPDX-License-Identifier: MIT
//
// Each worker binds the port with SO_REUSEPORT, the only way that Java has by itself. HUP starts a
// new worker for each, waits until it says that it is ready, and ends the old one by SIGTERM.

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import sun.misc.Signal;

public final class Loop {
    private static final int WORKERS = Integer.parseInt(System.getenv("WORKERS"));
    private static final int PORT = Integer.parseInt(System.getenv("PORT"));
    private static final Process[] PROCESSES = new Process[WORKERS];
    private static volatile boolean isStopping;

    public static void main(String[] args) throws Exception {
        if (args.length > 0) {
            serve();
            return;
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            isStopping = true;
            for (Process process : PROCESSES) {
                process.destroy();
            }
        }));
        for (int task = 0; task < WORKERS; task++) {
            replace(task);
        }
        Signal.handle(new Signal("HUP"), signal -> {
            for (int task = 0; task < WORKERS; task++) {
                replace(task);
            }
        });
        Thread.currentThread().join();
    }

    /** Starts a worker, and ends the one before it when the new one is ready. */
    private static synchronized void replace(int task) {
        try {
            Process process = new ProcessBuilder(System.getProperty("java.home") + "/bin/java",
                    "-cp", System.getProperty("java.class.path"), "Loop", "worker")
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            process.getInputStream().read();
            Process old = PROCESSES[task];
            PROCESSES[task] = process;
            process.onExit().thenAccept(ended -> {
                if (PROCESSES[task] == ended && !isStopping) {
                    replace(task);
                }
            });
            if (old != null) {
                old.destroy();
                old.waitFor();
            }
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void serve() throws IOException {
        AtomicInteger connections = new AtomicInteger();
        ServerSocketChannel listener = ServerSocketChannel.open()
                .setOption(StandardSocketOptions.SO_REUSEPORT, true)
                .bind(new InetSocketAddress("127.0.0.1", PORT), 128);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            isStopping = true;
            try {
                listener.close();
                for (int i = 0; i < 500 && connections.get() > 0; i++) {
                    Thread.sleep(10);
                }
            } catch (IOException | InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        System.out.println("ready");
        while (true) {
            SocketChannel connection = listener.accept();
            connections.incrementAndGet();
            Thread.startVirtualThread(() -> {
                try (connection) {
                    answer(connection);
                } catch (IOException e) {
                    // The client has gone.
                } finally {
                    connections.decrementAndGet();
                }
            });
        }
    }

    private static void answer(SocketChannel connection) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(8192);
        String body = "hello from pid " + ProcessHandle.current().pid() + "\n";
        boolean closes = false;
        while (!closes && connection.read(buffer.clear()) > 0) {
            String request = new String(buffer.array(), 0, buffer.position(),
                    StandardCharsets.US_ASCII);
            closes = isStopping || request.contains("Connection: close");
            connection.write(ByteBuffer.wrap(("HTTP/1.1 200 OK\r\nContent-Length: "
                    + body.length() + (closes ? "\r\nConnection: close" : "") + "\r\n\r\n" + body)
                    .getBytes(StandardCharsets.US_ASCII)));
        }
    }
}
