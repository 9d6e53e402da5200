<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Tests;

use PHPUnit\Framework\TestCase;
use Prefork\{Event, EventType, Pool, PreforkException};

/** Tests with processes, none of which is left behind. */
abstract class ProcessCase extends TestCase
{
    /** @var list<Program> */
    private array $programs = [];

    /**
     * @param array<string, string> $env
     * @param list<string> $arguments
     */
    protected function launch(string $code, array $env = [], array $arguments = []): Program
    {
        return $this->programs[] = new Program($code, $env, $arguments);
    }

    /** The path of an example of the installed package. */
    protected function example(string $name): string
    {
        return dirname((new \ReflectionClass(Pool::class))->getFileName(), 2) . "/examples/$name";
    }

    protected function tearDown(): void
    {
        foreach ($this->programs as $program) {
            $program->clean();
        }
        gc_collect_cycles();
        self::assertSame(-1, pcntl_waitpid(-1, $status, WNOHANG), 'a child is left');
    }

    /** @return list<Event> up to the nth of a type */
    protected static function eventsUntil(Pool $pool, EventType $type, int $count = 1): array
    {
        $found = [];
        foreach ($pool as $event) {
            $found[] = $event;
            if ($event->type === $type && --$count === 0) {
                return $found;
            }
        }
        self::fail("the pool ended without {$type->name}");
    }

    /**
     * @param list<Event> $events
     * @return list<Event>
     */
    protected static function ofType(array $events, EventType $type): array
    {
        return array_values(array_filter($events, static fn (Event $event) => $event->type === $type));
    }

    protected static function refused(\Closure $call, string $class = PreforkException::class): PreforkException
    {
        try {
            $call();
        } catch (PreforkException $error) {
            self::assertInstanceOf($class, $error);
            return $error;
        }
        self::fail("no $class");
    }

    /** Waits for ever. */
    protected static function stay(): \Closure
    {
        return static function (): never {
            while (true) {
                sleep(600);
            }
        };
    }
}
