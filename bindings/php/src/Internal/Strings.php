<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Internal;

use FFI\CData;
use Prefork\InvalidValueException;

/**
 * Arrays of strings as C has them. Keep the object until the call has returned.
 *
 * @internal
 */
final class Strings
{
    public readonly ?CData $array;
    /** @var list<CData> */
    private array $texts = [];

    /** @param ?list<string> $values null: a null pointer */
    public function __construct(string $parameter, ?array $values)
    {
        if ($values === null) {
            $this->array = null;
            return;
        }
        $lib = Library::get();
        $array = $lib->new('const char *[' . (count($values) + 1) . ']');
        foreach (array_values($values) as $i => $value) {
            if (!is_string($value) || str_contains($value, "\0")) {
                throw new InvalidValueException($parameter, 'strings without NUL', $value);
            }
            $text = $lib->new('char[' . (strlen($value) + 1) . ']');
            \FFI::memcpy($text, $value . "\0", strlen($value) + 1);
            $this->texts[] = $text;
            $array[$i] = $lib->cast('const char *', $text);
        }
        $this->array = $array;
    }

    /**
     * An environment.
     *
     * @param ?array<string, string> $values null: that of this process
     */
    public static function environment(?array $values): self
    {
        foreach ($values ?? [] as $name => $value) {
            if ($name === '' || str_contains((string) $name, '=') || !is_scalar($value)) {
                throw new InvalidValueException('env', 'names without =, with a string each', $name);
            }
        }
        return new self('env', $values === null ? null : array_map(
            static fn ($name, $value) => "$name=$value",
            array_keys($values),
            array_values($values),
        ));
    }

    /** The path of a program, as the shell finds it. */
    public static function program(string $parameter, string $name): string
    {
        if (str_contains($name, '/')) {
            return $name;
        }
        foreach (explode(':', getenv('PATH') ?: '/usr/local/bin:/usr/bin:/bin') as $directory) {
            $path = ($directory === '' ? '.' : $directory) . "/$name";
            if (is_file($path) && is_executable($path)) {
                return $path;
            }
        }
        throw new InvalidValueException($parameter, 'a program that PATH has', $name);
    }
}
