<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

use Prefork\Internal\Descriptor;

/** A listening socket that workers share. It is non-blocking. */
final class Listener
{
    /** @var resource */
    private $stream;

    /**
     * @internal
     * @param int $fd the descriptor, which stays open
     */
    public function __construct(public readonly int $fd)
    {
        $this->stream = Descriptor::stream($fd);
        stream_set_blocking($this->stream, false);
    }

    /**
     * The stream, for stream_select(), stream_socket_accept() and event loops; ext-sockets has
     * socket_import_stream().
     *
     * @return resource
     */
    public function stream()
    {
        return $this->stream;
    }

    /** The address, such as "127.0.0.1:8080", or the path. */
    public function address(): string
    {
        return (string) stream_socket_get_name($this->stream, false);
    }

    /** The port; null for a UNIX socket. */
    public function port(): ?int
    {
        $colon = strrpos($this->address(), ':');
        return $colon === false ? null : (int) substr($this->address(), $colon + 1);
    }

    /**
     * Accepts a connection that waits. It is blocking, as streams of PHP are.
     *
     * @return resource|null null: none waits, for example because another worker accepted it
     */
    public function accept()
    {
        return @stream_socket_accept($this->stream, 0) ?: null;
    }
}
