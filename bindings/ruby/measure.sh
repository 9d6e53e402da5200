#!/bin/sh
# measure.sh PREFIX [NAME...] - the examples beside unicorn and Puma's cluster, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. Unicorn and Puma have their application preloaded.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

PREFORK_LIBRARY=$LD_LIBRARY_PATH/libprefork.so.0
RUBYLIB=$here/lib${RUBYLIB:+:$RUBYLIB}
export PREFORK_LIBRARY RUBYLIB

cat >"$scratch/config.ru" <<'RU'
run(lambda do |_env|
  body = "hello from pid #{Process.pid}\n"
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
end)
RU

row server 'Ruby: hello.rb, TCPServer' -- ruby "$here/examples/hello.rb"
row rack 'Ruby: rack_puma.rb, Puma' -- ruby "$here/examples/rack_puma.rb"

# Puma's master restarts all at USR2. USR1, a phased restart, excludes preload_app.
cat >"$scratch/puma.rb" <<'RB'
bind "tcp://127.0.0.1:#{ENV.fetch('PORT')}"
workers Integer(ENV.fetch("WORKERS"))
threads 5, 5
preload_app!
RB
sed '/preload_app/d' "$scratch/puma.rb" >"$scratch/phased.rb"
if command -v puma >/dev/null; then
    row puma 'Ruby: puma cluster, preload (USR2)' --reload USR2 -- \
        puma -q -C "$scratch/puma.rb" "$scratch/config.ru"
    row puma-phased 'Ruby: puma cluster, phased (USR1)' --reload USR1 -- \
        puma -q -C "$scratch/phased.rb" "$scratch/config.ru"
else
    echo "puma: skipped: there is no puma" >&2
fi

# HUP of a unicorn that preloads restarts workers without the new code; it is what its users call a reload.
cat >"$scratch/unicorn.rb" <<'RB'
listen "127.0.0.1:#{ENV.fetch('PORT')}"
worker_processes Integer(ENV.fetch("WORKERS"))
preload_app true
RB
if command -v unicorn >/dev/null; then
    row unicorn 'Ruby: unicorn, preload' -- unicorn -c "$scratch/unicorn.rb" "$scratch/config.ru"
else
    echo "unicorn: skipped: there is no unicorn" >&2
fi
exit "$status"
