<?php
/**
 * An HTTP server on plain streams: one process for each processor, or WORKERS of them, on PORT.
 *
 *     PORT=8080 WORKERS=4 php http_server.php
 *
 * HUP replaces all workers without losing a request, TERM stops them, TTIN and TTOU start one more
 * and stop one.
 *
 * SPDX-License-Identifier: MIT
 */

declare(strict_types=1);

use Prefork\{Event, Listener, Pool, Process, Sockets, Worker};

require array_values(array_filter(
    [__DIR__ . '/../../../autoload.php', getcwd() . '/vendor/autoload.php'],
    is_file(...),
))[0] ?? exit("run it in a project with libprefork/prefork\n");

/** The connections of one worker. */
final class HttpWorker
{
    /** @var array<int, resource> */
    private array $connections = [];
    /** @var array<int, string> what has come of the next request */
    private array $received = [];
    private bool $stopping = false;

    /** When this worker stops, a connection that is kept alive may send one request more, in $grace seconds. */
    public function __construct(
        private readonly Listener $listener,
        private readonly int $task,
        private readonly float $grace,
    ) {
    }

    public function serve(): void
    {
        $stop = Worker::stopStream();
        Worker::ready();
        $end = INF;
        do {
            $left = max($end - microtime(true), 0); // with 0 it looks once more
            $readable = $this->connections;
            if (!$this->stopping) {
                $readable['listener'] = $this->listener->stream();
                $readable['stop'] = $stop;
            }
            $none = null;
            if (!@stream_select($readable, $none, $none, $this->stopping ? (int) ceil($left) : null)) {
                continue; // a signal
            }
            if (isset($readable['stop'])) {
                $this->stopping = true; // the other workers accept
                $end = microtime(true) + $this->grace;
            } elseif (isset($readable['listener']) && ($connection = $this->listener->accept()) !== null) {
                $this->connections[(int) $connection] = $connection;
                $this->received[(int) $connection] = '';
            }
            foreach (array_intersect_key($readable, $this->connections) as $id => $connection) {
                $this->receive($id, $connection);
            }
        } while (!$this->stopping || ($this->connections !== [] && $left > 0));
    }

    /** @param resource $connection */
    private function receive(int $id, $connection): void
    {
        $bytes = @fread($connection, 65536);
        $isOpen = $bytes !== false && $bytes !== '';
        $this->received[$id] .= $bytes;
        while ($isOpen && ($length = strpos($this->received[$id], "\r\n\r\n")) !== false) {
            $head = substr($this->received[$id], 0, $length + 2);
            $this->received[$id] = substr($this->received[$id], $length + 4);
            $isOpen = $this->answer($connection, $head);
        }
        if (!$isOpen || strlen($this->received[$id] ?? '') > 65536) {
            unset($this->connections[$id], $this->received[$id]);
            fclose($connection);
        }
    }

    /**
     * @param resource $connection
     * @return bool whether it is kept alive
     */
    private function answer($connection, string $head): bool
    {
        [$method, $path, $version] = explode(' ', strtok($head, "\r\n") ?: '') + ['', '', ''];
        $isFound = $method === 'GET' && $path === '/';
        $body = $isFound ? 'hello from pid ' . getmypid() . ", task $this->task\n" : "not found\n";
        $keep = !$this->stopping && $version === 'HTTP/1.1'
            && !preg_match('/^connection:\s*close/mi', $head);
        $text = 'HTTP/1.1 ' . ($isFound ? '200 OK' : '404 Not Found')
            . "\r\nContent-Type: text/plain\r\nContent-Length: " . strlen($body)
            . ($keep ? '' : "\r\nConnection: close") . "\r\n\r\n" . $body;
        return @fwrite($connection, $text) === strlen($text) && $keep;
    }
}

$port = getenv('PORT');
$listener = Sockets::bind($port === false ? 8080 : (int) $port, getenv('HOST') ?: '127.0.0.1')[0];
fwrite(STDERR, "listening on http://{$listener->address()}\n");
$grace = (float) (getenv('GRACE_S') ?: 2);
$pool = new Pool(
    worker: static fn (int $task) => (new HttpWorker($listener, $task, $grace))->serve(),
    workers: (int) getenv('WORKERS'),
    stopSignal: 0, // the stop descriptor tells
    readyTimeout: 30,
);
$pool->run(static fn (Event $event) => fwrite(STDERR, "$event->message\n"));
Process::dieOfSignal($pool->stoppedBy());
