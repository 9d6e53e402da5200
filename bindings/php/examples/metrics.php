<?php
/**
 * The counters of a pool for Prometheus, in its text format, at METRICS_PORT (default 9100).
 *
 *     METRICS_PORT=9100 php metrics.php
 *
 * The supervisor answers between the events of its pool, in a loop of stream_select().
 *
 * SPDX-License-Identifier: MIT
 */

declare(strict_types=1);

use Prefork\{Counter, Pool, Process, Sockets, Worker};

require array_values(array_filter(
    [__DIR__ . '/../../../autoload.php', getcwd() . '/vendor/autoload.php'],
    is_file(...),
))[0] ?? exit("run it in a project with libprefork/prefork\n");

/** What is a number of the moment; the others only grow. */
const GAUGES = [Counter::Ready, Counter::Alive, Counter::Spares];

function metrics(Pool $pool): string
{
    $text = '';
    foreach (Counter::cases() as $counter) {
        $isGauge = in_array($counter, GAUGES, true);
        $name = 'prefork_' . strtolower(preg_replace('/(?<!^)[A-Z]/', '_$0', $counter->name))
            . ($isGauge ? '' : '_total');
        $text .= "# TYPE $name " . ($isGauge ? 'gauge' : 'counter') . "\n$name {$pool->counter($counter)}\n";
    }
    return $text;
}

$pool = new Pool(
    worker: static function (): void {
        while (!Worker::waitForStop(60)) {
            continue; // here is the work
        }
    },
    workers: (int) (getenv('WORKERS') ?: 2),
    stopSignal: 0,
);
$port = getenv('METRICS_PORT');
$listener = Sockets::bind($port === false ? 9100 : (int) $port, '127.0.0.1')[0];
fwrite(STDERR, "metrics at http://{$listener->address()}/metrics\n");
$pool->start();
$events = $pool->stream();
while (!$pool->isDone()) {
    $readable = [$events, $listener->stream()];
    $none = null;
    @stream_select($readable, $none, $none, null); // a signal ends it, too
    foreach ($pool->poll() as $event) {
        fwrite(STDERR, "$event->message\n");
    }
    if (($connection = $listener->accept()) !== null) {
        stream_set_timeout($connection, 1); // a client may not hold the supervisor
        fgets($connection);
        $body = metrics($pool);
        @fwrite($connection, "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
            . 'Content-Length: ' . strlen($body) . "\r\n\r\n$body");
        fclose($connection);
    }
}
Process::dieOfSignal($pool->stoppedBy());
