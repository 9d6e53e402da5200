// SPDX-License-Identifier: MIT
package libprefork;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A listening socket that the workers share. Open it before the pool is started: the same call in a
 * worker returns the supervisor's socket. Since the socket outlives each worker, no connection is
 * lost when workers are replaced, which sockets with SO_REUSEPORT of each worker cannot promise.
 *
 * <p>Java has no way to make a channel from a descriptor. {@link #attach} puts the shared socket in
 * the place of a socket that Java has bound, below the channel: it works with any server that binds
 * before it begins to accept.
 *
 * <pre>{@code
 * HttpServer server = HttpServer.create(Listener.PLACEHOLDER, 0);
 * listener.attach(server.getAddress());
 * server.start();
 * }</pre>
 */
public final class Listener implements AutoCloseable {
    /** An address for a server that {@link #attach} gives another socket. */
    public static final InetSocketAddress PLACEHOLDER =
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);

    private static final int ADDRESSES_MAX = 64;
    private static final int DESCRIPTORS_MAX = 1024;

    private final int fd;
    private final List<Integer> attached = new ArrayList<>();
    private volatile boolean isClosed;

    private Listener(int fd) {
        this.fd = fd;
    }

    /**
     * Binds a TCP socket to one address.
     *
     * @param host a name or a numeric address, which stands for one address
     * @param port 0: the kernel chooses
     * @return the listener
     * @throws PreforkException such as EADDRINUSE, or {@link PreforkException#RESOLVE}
     * @throws IllegalArgumentException if the host has several addresses
     */
    public static Listener bind(String host, int port) {
        List<Listener> listeners = bindAll(host, port, 0, false);
        if (listeners.size() > 1) {
            listeners.forEach(Listener::close);
            throw new IllegalArgumentException("host " + host + " has " + listeners.size()
                    + " addresses: use bindAll");
        }
        return listeners.get(0);
    }

    /**
     * Binds a TCP socket to each address of a host.
     *
     * @param host a name or a numeric address; null: any address
     * @param port 0: the kernel chooses, the same for all
     * @param backlog as for listen(2); 0 or negative: 128
     * @param reusePort whether other sockets with SO_REUSEPORT may bind the same address
     * @return the listeners, those of IPv4 first
     */
    public static List<Listener> bindAll(String host, int port, int backlog, boolean reusePort) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment fds = arena.allocate(ValueLayout.JAVA_INT, ADDRESSES_MAX);
            MemorySegment name = host == null
                    ? MemorySegment.NULL : arena.allocateFrom(Checks.text("host", host));
            return listeners(fds, PreforkException.check("host " + host + ", port " + port,
                    Native.integer("pf_bind_sockets", name, port, 0, backlog,
                            reusePort ? 1 : 0, fds, ADDRESSES_MAX)));
        }
    }

    /**
     * Binds a UNIX stream socket. A socket file on which no process listens is replaced.
     *
     * @param path at most 107 bytes
     * @param mode the permissions, at most 0777
     * @param backlog as for listen(2); 0 or negative: 128
     * @return the listener
     */
    public static Listener bindUnix(Path path, int mode, int backlog) {
        return new Listener(PreforkException.check("path " + path,
                Native.integer("pf_bind_unix_socket", Checks.text("path", path.toString()), mode,
                        backlog)));
    }

    /**
     * Returns the sockets that systemd passed to this process.
     *
     * @return in their order; empty: none
     */
    public static List<Listener> inherited() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment fds = arena.allocate(ValueLayout.JAVA_INT, DESCRIPTORS_MAX);
            return listeners(fds, PreforkException.check("inherited descriptors",
                    Native.integer("pf_listen_fds", fds, DESCRIPTORS_MAX)));
        }
    }

    private static List<Listener> listeners(MemorySegment fds, int count) {
        List<Listener> listeners = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            listeners.add(new Listener(fds.getAtIndex(ValueLayout.JAVA_INT, i)));
        }
        return listeners;
    }

    /**
     * Returns a listener for a descriptor, such as that of {@link Worker#fd}.
     *
     * @param fd a listening socket, which {@link #close} closes
     * @return the listener
     */
    public static Listener of(int fd) {
        if (!Descriptors.isListening(fd)) {
            throw new IllegalArgumentException("descriptor " + fd + " is not a listening socket");
        }
        return new Listener(fd);
    }

    /**
     * Returns the descriptor.
     *
     * @return its number
     */
    public int fd() {
        return fd;
    }

    /** The descriptor. After {@link #close} its number may be that of another file. */
    private int opened() {
        if (isClosed || Descriptors.address(fd, false) == null) {
            throw new IllegalStateException("the listener is closed");
        }
        return fd;
    }

    /**
     * Returns the address that the socket is bound to.
     *
     * @return an {@link InetSocketAddress} or a {@link UnixDomainSocketAddress}
     */
    public SocketAddress address() {
        byte[] address = Descriptors.address(opened(), false);
        if (!Descriptors.isInternet(address)) {
            return UnixDomainSocketAddress.of(Descriptors.path(address));
        }
        return Descriptors.internet(address);
    }

    /**
     * Returns the port.
     *
     * @return the port; 0 for a UNIX socket
     */
    public int port() {
        return address() instanceof InetSocketAddress address ? address.getPort() : 0;
    }

    /**
     * Opens a channel that accepts from this socket. The channel may be in blocking mode.
     *
     * @return a channel that the caller closes; it names another local address
     * @throws IOException if no channel could be opened
     */
    public ServerSocketChannel open() throws IOException {
        ServerSocketChannel channel;
        SocketAddress placeholder = null;
        if (address() instanceof InetSocketAddress address) {
            boolean isIpv6 = address.getAddress().getAddress().length == 16;
            channel = ServerSocketChannel.open(
                    isIpv6 ? StandardProtocolFamily.INET6 : StandardProtocolFamily.INET);
            placeholder = new InetSocketAddress(isIpv6 ? "::1" : "127.0.0.1", 0);
        } else {
            channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        }
        try {
            channel.bind(placeholder);
            SocketAddress bound = channel.getLocalAddress();
            attach(bound);
            if (bound instanceof UnixDomainSocketAddress unix) {
                Files.delete(unix.getPath());
            }
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
        return channel;
    }

    /**
     * Puts this socket in the place of one that a server in this process has bound. Call it after
     * the server has bound it and before it accepts.
     *
     * @param placeholder the address that the server is bound to, such as one for
     *     {@link #PLACEHOLDER}
     * @throws IllegalArgumentException if no socket of this process listens there
     */
    public synchronized void attach(SocketAddress placeholder) {
        opened();
        for (int candidate : Descriptors.open()) {
            byte[] address = Descriptors.address(candidate, false);
            if (address != null && Descriptors.isListening(candidate)
                    && isAt(placeholder, address) && !Descriptors.isSameSocket(candidate, fd)) {
                Descriptors.replace(candidate, fd);
                attached.add(candidate);
                return;
            }
        }
        throw new IllegalArgumentException("placeholder " + placeholder
                + ": no socket of this process listens there");
    }

    private static boolean isAt(SocketAddress placeholder, byte[] address) {
        if (!(placeholder instanceof InetSocketAddress wanted)) {
            return Descriptors.family(address) == Descriptors.AF_UNIX
                    && Descriptors.path(address).equals(placeholder.toString());
        }
        if (wanted.isUnresolved() || !Descriptors.isInternet(address)) {
            return false;
        }
        InetSocketAddress own = Descriptors.internet(address);
        // For Java the wildcard address of a socket for IPv6 and IPv4 may be that of IPv4.
        return own.equals(wanted) || (own.getPort() == wanted.getPort()
                && own.getAddress().isAnyLocalAddress()
                && wanted.getAddress().isAnyLocalAddress());
    }

    /**
     * Ends the accepting of the servers of {@link #attach} and the channels of {@link #open}. They
     * keep the connections that they have. Other workers accept new ones.
     */
    public synchronized void detach() {
        if (attached.isEmpty()) {
            return;
        }
        opened();
        int deaf = Descriptors.deafSocket();
        try {
            for (int place : attached) {
                // Not if the server has closed it: then the number may belong to another file.
                if (Descriptors.isSameSocket(place, fd)) {
                    Descriptors.removeFromSelectors(place);
                    Descriptors.replace(place, deaf);
                }
            }
            attached.clear();
        } finally {
            Descriptors.close(deaf);
        }
    }

    /**
     * Counts the connections that this process has accepted from this socket and not closed.
     *
     * @return their number
     */
    public int connections() {
        byte[] own = Descriptors.address(opened(), false);
        int count = 0;
        for (int candidate : Descriptors.open()) {
            byte[] address = Descriptors.address(candidate, false);
            if (address != null && !Descriptors.isListening(candidate)
                    && Descriptors.address(candidate, true) != null
                    && (Descriptors.isInternet(own)
                            ? Descriptors.isInternet(address)
                                    && Descriptors.port(address) == Descriptors.port(own)
                            : Arrays.equals(address, own))) {
                count++;
            }
        }
        return count;
    }

    /**
     * Accepts no more, and waits until all connections are closed. Meanwhile the server should
     * answer each request with {@code Connection: close}.
     *
     * @param timeout the longest time
     * @return whether no connection is left
     * @throws InterruptedException if this thread is interrupted
     */
    public boolean drain(Duration timeout) throws InterruptedException {
        detach();
        long end = System.nanoTime() + TimeUnit.NANOSECONDS.convert(timeout);
        while (connections() > 0) {
            if (System.nanoTime() - end > 0) {
                return false;
            }
            Thread.sleep(10);
        }
        return true;
    }

    /**
     * Closes the descriptor. Channels and servers keep theirs. The other methods fail from then on.
     * A second call has no effect.
     */
    @Override
    public synchronized void close() {
        if (!isClosed) {
            isClosed = true;
            Descriptors.close(fd);
        }
    }
}
