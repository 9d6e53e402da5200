<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

use Prefork\Internal\Library;

/** Listening sockets. Bind them before the pool starts; all workers then accept from them. */
final class Sockets
{
    /** A host has no more addresses that the library binds. */
    private const MAX = 64;
    private const REUSEPORT = 1;
    private const ENOBUFS = 105;
    /** AF_INET and AF_INET6 of Linux; ext-sockets may be missing. */
    private const FAMILIES = [0 => 0, 4 => 2, 6 => 10];

    private function __construct()
    {
    }

    /**
     * Binds a TCP socket to each address of a host. In a worker by exec the nth call with the same
     * arguments returns the sockets of the nth call in the supervisor.
     *
     * @param int $port 0: one that the kernel chooses, the same for all
     * @param string $host a name or an address; '': any address
     * @param int $ipVersion 4, 6, or 0 for both
     * @param int $backlog as of listen(2); 0: 128
     * @param bool $reusePort whether other sockets that set this may bind the same address
     * @return non-empty-list<Listener>
     * @throws ResolveException if the name is not found
     * @throws PreforkException with errno EADDRINUSE, EACCES, EADDRNOTAVAIL and others
     */
    public static function bind(
        int $port,
        string $host = '',
        int $ipVersion = 0,
        int $backlog = 0,
        bool $reusePort = false,
    ): array {
        if ($port < 0 || $port > 65535) {
            throw new InvalidValueException('port', '0 to 65,535', $port);
        }
        if (str_contains($host, "\0")) {
            throw new InvalidValueException('host', 'without NUL', $host);
        }
        if (!isset(self::FAMILIES[$ipVersion])) {
            throw new InvalidValueException('ipVersion', '4, 6, or 0 for both', $ipVersion);
        }
        $lib = Library::get();
        $fds = $lib->new('int[' . self::MAX . ']');
        $flags = $reusePort ? self::REUSEPORT : 0;
        $family = self::FAMILIES[$ipVersion];
        $length = max(0, min($backlog, 0x7fffffff));
        $count = $lib->pf_bind_sockets($host, $port, $family, $length, $flags, $fds, self::MAX);
        $address = ($host === '' ? '*' : $host) . ":$port";
        return self::listeners($fds, Library::check($count, "bind $address"));
    }

    /**
     * Binds a UNIX stream socket to a path. A socket file on which no process listens is replaced.
     *
     * @param int $mode the permissions, at most 0777
     * @throws PreforkException with errno EADDRINUSE if a process listens there, EEXIST for another
     *     kind of file, and others
     */
    public static function bindUnix(string $path, int $mode = 0666, int $backlog = 0): Listener
    {
        if ($mode < 0 || $mode > 0777) {
            throw new InvalidValueException('mode', '0 to 0777', $mode);
        }
        if (str_contains($path, "\0")) {
            throw new InvalidValueException('path', 'without NUL', $path);
        }
        $length = max(0, min($backlog, 0x7fffffff));
        $fd = Library::get()->pf_bind_unix_socket($path, $mode, $length);
        return new Listener(Library::check($fd, "bind $path"));
    }

    /**
     * The sockets that systemd passed to this service, in their order.
     *
     * @return list<Listener> none if systemd passed none
     * @throws PreforkException with errno EBADF if one is not open, EINVAL if LISTEN_FDS is not a number
     */
    public static function fromSystemd(): array
    {
        $lib = Library::get();
        $size = self::MAX;
        do {
            $fds = $lib->new("int[$size]");
            $count = $lib->pf_listen_fds($fds, $size);
            $size *= 2;
        } while ($count === -self::ENOBUFS && $size < 1 << 30);
        return self::listeners($fds, Library::check($count, 'LISTEN_FDS'));
    }

    /** @return list<Listener> */
    private static function listeners(\FFI\CData $fds, int $count): array
    {
        $listeners = [];
        for ($i = 0; $i < $count; $i++) {
            $listeners[] = new Listener($fds[$i]);
        }
        return $listeners;
    }
}
