# What of a released interface is not there any more, or is different, one line each:
#
#   jq -rn --slurpfile old OLD --slurpfile new NEW --arg open VERSION -f tests/abi/changes.jq
#
# Both are a prefork.json. An addition is right in a node that is newer than the old version. The
# version that is open is not released, and may still grow.
#
# SPDX-License-Identifier: MIT

def signature: "\(.returns) (\([.parameters[]? | "\(.type) \(.name)"] | join(", ")))";
def node: split(".")[0:2] | map(tonumber);

# The entries of a table that are gone or have another value.
def changed(table; value):
    ($new[0][table] // {}) as $now
    | ($old[0][table] // {}) | to_entries[]
    | .key as $name
    | (.value | value) as $before
    | if $now | has($name) | not then "\($name): removed"
      elif ($now[$name] | value) != $before
      then "\($name): was \($before), is \($now[$name] | value)"
      else empty end;

(if $old[0].soname != $new[0].soname
 then "the soname was \($old[0].soname), is \($new[0].soname)" else empty end),
(($old[0].opaque_types - $new[0].opaque_types)[] | "\(.): removed"),
(changed("constants"; .) | select(startswith("PF_VERSION_") | not)),
changed("callback_types"; signature),
changed("functions"; signature),
changed("functions"; .since),
(($old[0].functions) as $before
 | $new[0].functions | to_entries[]
 | .key as $name
 | select($before | has($name) | not)
 | select((.value.since | node) <= ($old[0].version | node))
 | select((.value.since | node) != ($open | node? // []))
 | "\($name): added to node \(.value.since), which is released")
