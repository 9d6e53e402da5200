// SPDX-License-Identifier: MIT
package libprefork;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What java.nio has no way to do with descriptors. */
final class Descriptors {
    static final int AF_UNIX = 1;
    static final int AF_INET = 2;
    static final int AF_INET6 = 10;
    private static final int SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0x800 | 0x80000;
    private static final int O_CLOEXEC = 0x80000;
    private static final int SOL_SOCKET = 1;
    private static final int SO_ACCEPTCONN = 30;
    private static final int SO_COOKIE = 57;
    private static final int EPOLL_CTL_DEL = 2;
    private static final int F_GETFD = 1;
    private static final int F_SETFD = 2;
    private static final int FD_CLOEXEC = 1;
    private static final int FIRST = 3;
    private static final String OWN = "/proc/self/fd";
    private static final long PIPE_NS = 10_000_000_000L;
    private static final int ADDRESS_MAX = 128;

    private Descriptors() {}

    private static boolean isCloseOnExec(int fd) {
        return (Native.integer("fcntl", fd, F_GETFD) & FD_CLOEXEC) != 0;
    }

    /**
     * Closes in a worker the sockets and pipes of the supervisor that it was not given. What the
     * library gives a worker is close-on-exec there.
     */
    static void closeInherited() {
        Set<String> ofSupervisor = new HashSet<>();
        String parent = "/proc/" + Native.integer("getppid") + "/fd";
        try {
            for (int fd : open(parent)) {
                ofSupervisor.add(file(parent + "/" + fd));
            }
            ofSupervisor.removeIf(file -> !file.startsWith("socket:") && !file.startsWith("pipe:"));
            for (int fd : open()) {
                if (fd >= FIRST && !isCloseOnExec(fd) && ofSupervisor.contains(file(fd))) {
                    close(fd);
                }
            }
        } catch (UncheckedIOException e) {
            // The supervisor has ended, or has rights that this process has not.
        }
    }

    /**
     * Workers inherit no sockets, pipes, and files without a name of this process but those that
     * they are given. ProcessBuilder passes pipes and files to its helper by exec, in any thread: a
     * pipe has to be older than such a start, and a file stays as it is.
     */
    static synchronized void closeOnExec() {
        long now = System.nanoTime();
        Map<String, Long> pipes = new HashMap<>();
        List<Integer> fds;
        try {
            fds = open();
        } catch (UncheckedIOException e) {
            return; // too many descriptors: no reason to end the supervision
        }
        for (int fd : fds) {
            if (fd < FIRST || isCloseOnExec(fd)) {
                continue;
            }
            String file = file(fd);
            boolean isDue = file.startsWith("socket:") || file.startsWith("anon_inode:");
            if (file.startsWith("pipe:")) {
                long since = seenPipes.getOrDefault(file, now);
                pipes.put(file, since);
                isDue = now - since > PIPE_NS;
            }
            if (isDue) {
                Native.integer("fcntl", fd, F_SETFD, FD_CLOEXEC);
                if (!file.equals(file(fd))) {
                    Native.integer("fcntl", fd, F_SETFD, 0); // the number has another file now
                }
            }
        }
        seenPipes = pipes;
    }

    private static Map<String, Long> seenPipes = Map.of();

    /** What a descriptor is, as /proc says; empty if it is closed. */
    static String file(int fd) {
        return file(OWN + "/" + fd);
    }

    private static String file(String link) {
        try {
            return Files.readSymbolicLink(Path.of(link)).toString();
        } catch (IOException e) {
            return "";
        }
    }

    /** The descriptors that are open. */
    static List<Integer> open() {
        return open(OWN);
    }

    private static List<Integer> open(String directory) {
        List<Integer> fds = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of(directory))) {
            for (Path entry : entries) {
                fds.add(Integer.valueOf(entry.getFileName().toString()));
            }
        } catch (DirectoryIteratorException e) {
            throw new UncheckedIOException(e.getCause());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return fds;
    }

    /** The sockaddr of this end, or of the other one; null if it is not such a socket. */
    static byte[] address(int fd, boolean ofPeer) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(ADDRESS_MAX);
            MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_INT, ADDRESS_MAX);
            String function = ofPeer ? "getpeername" : "getsockname";
            if (Native.integer(function, fd, address, length) != 0) {
                return null;
            }
            byte[] bytes = address.toArray(ValueLayout.JAVA_BYTE);
            return Arrays.copyOf(bytes, Math.min(ADDRESS_MAX,
                    length.get(ValueLayout.JAVA_INT, 0)));
        }
    }

    /** The address and port of an internet socket; an IPv4 address in IPv6 is one of IPv4. */
    static InetSocketAddress internet(byte[] address) {
        boolean isOld = family(address) == AF_INET;
        try {
            return new InetSocketAddress(InetAddress.getByAddress(
                    Arrays.copyOfRange(address, isOld ? 4 : 8, isOld ? 8 : 24)), port(address));
        } catch (UnknownHostException e) {
            throw new AssertionError(e);
        }
    }

    static int family(byte[] address) {
        return (address[0] & 0xff) | (address[1] & 0xff) << 8;
    }

    static int port(byte[] address) {
        return (address[2] & 0xff) << 8 | (address[3] & 0xff);
    }

    static boolean isInternet(byte[] address) {
        return family(address) == AF_INET || family(address) == AF_INET6;
    }

    /** The path of a UNIX socket. */
    static String path(byte[] address) {
        int end = 2;
        while (end < address.length && address[end] != 0) {
            end++;
        }
        return new String(address, 2, Math.max(0, end - 2), StandardCharsets.UTF_8);
    }

    private static long option(int fd, int option, int size) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(8, 8);
            MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_INT, size);
            return Native.integer("getsockopt", fd, SOL_SOCKET, option, value, length) != 0
                    ? -1 : value.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    static boolean isListening(int fd) {
        return option(fd, SO_ACCEPTCONN, 4) == 1;
    }

    static boolean isSameSocket(int a, int b) {
        long cookie = option(a, SO_COOKIE, 8);
        return cookie != -1 && cookie == option(b, SO_COOKIE, 8);
    }

    /** Makes to the same open file as from. */
    static void replace(int to, int from) {
        PreforkException.check("descriptor " + to,
                Native.system("dup3", from, to, O_CLOEXEC));
    }

    /** A listening socket that nobody connects to. */
    static int deafSocket() {
        int fd = PreforkException.check("socket",
                Native.system("socket", AF_UNIX, SOCK_STREAM_NONBLOCK_CLOEXEC, 0));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(8, 8);
            address.set(ValueLayout.JAVA_SHORT, 0, (short) AF_UNIX);
            // An address of two bytes: the kernel chooses an abstract name.
            PreforkException.check("socket", Native.system("bind", fd, address, 2));
            PreforkException.check("socket", Native.system("listen", fd, 1));
        } catch (RuntimeException | Error e) {
            close(fd);
            throw e;
        }
        return fd;
    }

    static void close(int fd) {
        Native.integer("close", fd);
    }

    /** No selector of this process waits for it any more. */
    static void removeFromSelectors(int fd) {
        for (int epoll : open()) {
            Path info = Path.of("/proc/self/fdinfo/" + epoll);
            try {
                if (Files.readString(info).matches("(?s).*tfd: *" + fd + " .*")) {
                    Native.integer("epoll_ctl", epoll, EPOLL_CTL_DEL, fd, MemorySegment.NULL);
                }
            } catch (IOException e) {
                // It was closed meanwhile.
            }
        }
    }
}
