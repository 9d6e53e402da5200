#!/bin/sh
# The manual as HTML: `make html` does it.
#
#   man/html.sh DIRECTORY
#
# mandoc makes one file of each page. Here the links to other names of a page get their anchors,
# each page gets a line of navigation, and index.html lists the pages.
#
# SPDX-License-Identifier: MIT
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$1
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/*.html
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
for page in "$root"/man/*.[137]; do
    name=${page##*/}
    mandoc -T html -O "toc,style=prefork.css,man=%N.%S.html" "$page" >"$name.html"
    echo "$name $name"
done >names
cat "$root/man/aliases" >>names

# References to pages of others lead to the web. A prototype has an anchor of its own, for
# functions that the page does not have under a heading.
for page in "$root"/man/*.[137]; do
    name=${page##*/}
    awk '
        FNR == 1 { file++ }
        file == 1 { page_of[$2] = $1; next }
        file == 2 {
            line = $0
            while (match(line, /id="[^"]*"/)) {
                has[substr(line, RSTART + 4, RLENGTH - 5)] = 1
                line = substr(line, RSTART + RLENGTH)
            }
            next
        }
        /^<h1 / { synopsis = /id="SYNOPSIS"/ }
        synopsis && match($0, /<code class="Fn">[a-z_0-9]*</) {
            function_name = substr($0, RSTART + 17, RLENGTH - 18)
            if (!has[function_name]++)
                sub(/<code class="Fn">/, "<code class=\"Fn\" id=\"" function_name "\">")
        }
        {
            gsub(/ style="white-space: nowrap;"/, "")
            rest = $0
            done = ""
            while (match(rest, /href="[A-Za-z_0-9.-]*\.[0-9]\.html"/)) {
                target = substr(rest, RSTART + 6, RLENGTH - 12)
                anchor = target
                sub(/\.[0-9]$/, "", anchor)
                if (!(target in page_of)) target = "https://manpages.debian.org/" target
                else if (page_of[target] == target) target = target ".html"
                else target = page_of[target] ".html#" anchor
                done = done substr(rest, 1, RSTART - 1) "href=\"" target "\""
                rest = substr(rest, RSTART + RLENGTH)
            }
            print done rest
        }
        /^<body>/ {
            print "<nav><a href=\"index.html\">libprefork</a>"
            print "<a href=\"prefork.7.html\">guide</a>"
            print "<a href=\"pf_pool.3.html\">functions</a>"
            print "<a href=\"pf_event.3.html\">events</a></nav>"
        }
    ' names "$name.html" "$name.html" >"$out/$name.html"
done

cp "$root/man/prefork.css" "$out"
{
    cat <<'END'
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8"/>
  <meta name="viewport" content="width=device-width, initial-scale=1.0"/>
  <link rel="stylesheet" href="prefork.css" type="text/css" media="all"/>
  <title>libprefork: the manual</title>
</head>
<body>
<div class="manual-text">
<h1>libprefork: the manual</h1>
<p>Begin with the guide, <a class="Xr" href="prefork.7.html">prefork(7)</a>.
<a class="Xr" href="pf_pool.3.html">pf_pool(3)</a> lists all functions by task.</p>
<dl class="index">
END
    for page in "$root"/man/*.7 "$root"/man/*.1 "$root"/man/*.3; do
        name=${page##*/}
        printf '<dt><a class="Xr" href="%s.html">%s(%s)</a></dt>\n' \
            "$name" "${name%.*}" "${name##*.}"
        sed -n 's|^\.Nd \(.*\)|<dd>\1</dd>|p' "$page"
    done
    printf '</dl>\n</div>\n</body>\n</html>\n'
} >"$out/index.html"
