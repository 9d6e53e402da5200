#!/bin/sh
# The manual says what is so: its prototypes are the header's, every exported function has a
# page, its examples are the files that the tests compile and run. It can be read: mandoc and
# groff, the two programs that show it, find no fault, show the same words, and no line is wider
# than a terminal.
#
#   tests/lint/man.sh [PAGE...]     only these are shown; all else is looked at in all pages
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

# One prototype or type a line, sorted, from the header and from the pages.
awk '
    { gsub(/\/\*.*\*\//, "") }
    /^PF_API / || /^typedef / { text = ""; open = 1 }
    open { text = text " " $0 }
    open && /;/ {
        gsub(/[ \t]+/, " ", text)
        sub(/^ (PF_API )?/, "", text)
        sub(/;.*/, "", text)
        print text
        open = 0
    }
' include/prefork.h | sort >"$scratch/header"
awk '
    /^\.Sh / { synopsis = ($2 == "SYNOPSIS") }
    !synopsis { next }
    /^\.Vt typedef / { sub(/^\.Vt /, ""); sub(/;$/, ""); print }
    /^\.Ft / { sub(/^\.Ft /, ""); gsub(/"/, ""); type = $0; next }
    /^\.Fn / {
        sub(/^\.Fn /, "")
        name = $1
        sub(/^[^ ]+ */, "")
        arguments = ""
        while ($0 != "") {
            if (/^"/) { end = index(substr($0, 2), "\""); one = substr($0, 2, end - 1); end++ }
            else { end = index($0 " ", " ") - 1; one = substr($0, 1, end) }
            arguments = arguments (arguments == "" ? "" : ", ") one
            $0 = substr($0, end + 1)
            sub(/^ +/, "")
        }
        print type (type ~ /\*$/ ? "" : " ") name "(" arguments ")"
    }
' man/*.3 | sort >"$scratch/pages"
diff "$scratch/header" "$scratch/pages" >"$scratch/difference" || {
    complain "prototypes differ between include/prefork.h (<) and the pages (>):"
    cat "$scratch/difference"
}

# The page that a name leads to, by itself or as an alias.
page_of() {
    if test -f "man/$1"; then
        echo "man/$1"
    else
        awk -v name="$1" '$2 == name { print "man/" $1 }' man/aliases
    fi
}

while read -r symbol; do
    page=$(page_of "$symbol.3")
    if ! test -n "$page" || ! test -f "$page"; then
        complain "$symbol: has no page"
    elif ! grep -q "^\.Nm $symbol\( ,\)*\$" "$page"; then
        complain "$page: $symbol is missing under NAME"
    fi
done <tests/abi/symbols.txt

while read -r page alias; do
    test -f "man/$page" || complain "man/aliases: there is no page $page"
    test ! -e "man/$alias" || complain "man/aliases: $alias is a page of its own"
    grep -qx "${alias%.3}" tests/abi/symbols.txt || test "$alias" = "${alias%.3}" ||
        complain "man/aliases: $alias is no exported function"
done <man/aliases

# Where pages list things, nothing is left out: the settings, the pages, the events.
section() { # page, heading
    awk -v heading="$2" '/^\.S[hs] / { open = ($0 ~ "^\\.S[hs] " heading "$") } open' "$1"
}
section man/pf_pool.3 'Functions by task' >"$scratch/list"
grep -v '^pf_event_' tests/abi/symbols.txt | while read -r symbol; do
    grep -Eq "^\.It (Xr $symbol 3|Fn $symbol) Ta " "$scratch/list" ||
        echo "man/pf_pool.3: $symbol is missing under Functions by task"
done >"$scratch/missing"
for heading in Types 'Messages and details'; do
    section man/pf_event.3 "$heading" | sed -n 's/^\.It \(Dv \)*\([A-Z_]*\).*/\2/p' |
        sed 's/^PF_EVENT_//' >"$scratch/list"
    sed -n 's/^\t*PF_EVENT_\([A-Z_]*\) = .*/\1/p' include/prefork.h | while read -r event; do
        test "$(grep -cx "$event" "$scratch/list")" -eq 1 ||
            echo "man/pf_event.3: $event does not stand once under $heading"
    done
done >>"$scratch/missing"
# Each constant stands in some page.
cat man/*.3 | tr -cs 'A-Z0-9_' '\n' | sort -u >"$scratch/list"
grep -Eo 'PF_[A-Z0-9_]+ = |PF_VERSION_[A-Z]+' include/prefork.h | sed 's/ = //' | sort -u |
    comm -23 - "$scratch/list" | sed 's/.*/no page has the constant &/' >>"$scratch/missing"
test ! -s "$scratch/missing" || {
    found=1
    cat "$scratch/missing"
}

# A page has its own name as its title.
for page in man/*.[137]; do
    name=${page#man/}
    title=$(echo "${name%.*} ${name##*.}" | tr '[:lower:]' '[:upper:]')
    grep -qx "\.Dt $title" "$page" || complain "$page: the title is not $title"
done

# References to pages of this project lead somewhere.
sed -n 's/^\.Xr \(pf_[a-z_]*\|prefork\) \([137]\).*/\1.\2/p' man/*.[137] | sort -u >"$scratch/refer"
while read -r reference; do
    test -n "$(page_of "$reference")" || complain "a reference to $reference, which has no page"
done <"$scratch/refer"

# Pages of others need not be installed here: those references are no fault.
mandoc -T lint -W warning man/*.[137] 2>&1 | grep -v 'referenced manual not found' \
    >"$scratch/mandoc" || true
test ! -s "$scratch/mandoc" || {
    complain "mandoc finds fault:"
    cat "$scratch/mandoc"
}

# In a heading, and in other lines that are looked through for macros, a word that is the name of a
# macro is not shown as a word. groff does with "In a worker" what it would do with ".In a".
awk '
    BEGIN {
        split("Ac Ad An Ao Ap Aq Ar At Bc Bo Bq Brc Bro Brq Bsx Bx Cd Cm Dc Do Dq Dv Dx Ec Em En " \
              "Eo Er Es Ev Fa Fc Fl Fn Fo Fr Ft Fx Ic In Li Lk Ms Mt Nm No Ns Nx Oc Oo Op Ot Ox " \
              "Pa Pc Pf Po Pq Qc Ql Qo Qq Sc So Sq St Sx Sy Tn Ux Va Vt Xc Xo Xr", names)
        for (i in names) macro[names[i]] = 1
    }
    /^\.S[hs] / { for (i = 2; i <= NF; i++) if ($i in macro) swallowed($i) }
    /^\.[A-Z]/ { for (i = 2; i <= NF; i++) if ($i ~ /^(An|At|Do|In|So)$/) swallowed($i) }
    /^\.D[1l] / { for (i = 2; i <= NF; i++) if ($i in macro) swallowed($i) }
    /^[^.]/ && / (Dv|Er|Fa|Fn|Ns|Xr) / {
        printf "%s:%d: a macro in a line of text is shown as a word\n", FILENAME, FNR
        found = 1
    }
    function swallowed(word) {
        printf "%s:%d: \"%s\" is a macro here\n", FILENAME, FNR, word
        found = 1
    }
    END { exit found }
' man/*.[137] || found=1

# A terminal of 80 columns. There man(1) has groff set lines of 78 columns. The text is indented by
# 7 columns since groff 1.23, by 5 before and in mandoc: all of them must leave room for 7.
backspace=$(printf '\b')
shown_by() { # program, page, columns
    case $1 in
    groff) groff -ww -mandoc -Tascii -P-c -P-b -P-u "-rLL=$3n" "$2" 2>"$scratch/warnings" ;;
    mandoc) mandoc -Tascii -O "width=$3" "$2" 2>/dev/null ;;
    esac | sed "s/.$backspace//g"
}
# Without what is before the first section and after the last, and without quotes, which differ.
words_by() { # program, page
    shown_by "$1" "$2" 1000 | sed "1d;\$d;s/--/-/g;s/['\"\`]//g" | tr -s '[:space:]' '\n'
}
spare_of() { # program; of any page
    shown_by "$1" man/prefork.7 78 |
        awk '/^NAME/ { getline; match($0, /^ */); print 7 - RLENGTH; exit }'
}
spares="$(spare_of groff) $(spare_of mandoc)"
test $# -gt 0 || set -- man/*.[137]
for page; do
    for program in groff mandoc; do
        spare=${spares#* }
        test "$program" = mandoc || spare=${spares% *}
        shown_by "$program" "$page" $((78 - spare)) >"$scratch/shown"
        if test "$program" = groff && test -s "$scratch/warnings"; then
            complain "groff finds fault with 80 columns:"
            cat "$scratch/warnings"
        fi
        awk -v most=$((80 - spare)) 'length($0) > most { print; found = 1 } END { exit found }' \
            "$scratch/shown" >"$scratch/wide" || {
            complain "$page: more than 80 columns, by $program:"
            cat "$scratch/wide"
        }
        words_by "$program" "$page" >"$scratch/words-$program"
    done
    diff "$scratch/words-mandoc" "$scratch/words-groff" >"$scratch/difference" || {
        complain "$page: groff (>) shows other words than mandoc (<):"
        cat "$scratch/difference"
    }
done

# The guide is a book with short chapters, not a reference.
test "$(wc -l <man/prefork.7)" -le 450 || complain "man/prefork.7: has more than 450 lines"

# A program is shown whole once; other pages show the lines that matter there.
sed -n 's/^\.\\" example: //p' man/*.[137] | sort | uniq -d >"$scratch/twice"
test ! -s "$scratch/twice" || complain "shown whole on several pages: $(cat "$scratch/twice")"

# Under EXAMPLES a display follows the line that names its file, and is that file, or some lines
# of it.
has_lines() { # some lines, the file that has them, one after the other
    awk '
        FNR == NR { want[++wanted] = $0; next }
        { have[FNR] = $0 }
        END {
            for (first = 1; first + wanted - 1 <= FNR; first++) {
                for (i = 1; i <= wanted && have[first + i - 1] == want[i]; i++) continue
                if (i > wanted) exit 0
            }
            exit 1
        }
    ' "$1" "$2"
}
for page in man/*.[37]; do
    rm -rf "$scratch/examples"
    mkdir "$scratch/examples"
    awk -v directory="$scratch/examples" -v page="$page" '
        function complain(text) { printf "%s:%d: %s\n", page, FNR, text; found = 1 }
        /^\.Sh / { examples = ($2 == "EXAMPLES") }
        /^\.\\" example: / { file = $3; suffix = ""; next }
        /^\.\\" lines of: / { file = $4; suffix = "." FNR ".lines"; next }
        /^\.Bd / && (examples || file != "") {
            if (file == "") complain("an example that names no file")
            else { display = directory "/" file suffix; shown++ }
            next
        }
        /^\.Ed/ { file = display = ""; next }
        display != "" { sub(/^\\&/, ""); gsub(/\\e/, "\\"); print >display }
        END {
            if (!shown) complain("no example that is a file of man/examples")
            exit found
        }
    ' "$page" || found=1
    for example in "$scratch/examples"/*; do
        test -e "$example" || continue
        file=man/examples/${example##*/}
        case $file in
        *.lines) file=${file%.*.lines} ;;
        esac
        test -f "$file" || { complain "$page: there is no $file" && continue; }
        case $example in
        *.lines)
            has_lines "$example" "$file" ||
                complain "$page: shows lines that $file does not have"
            continue
            ;;
        esac
        diff "$file" "$example" >"$scratch/difference" || {
            complain "$page: differs from $file (<), see make format:"
            cat "$scratch/difference"
        }
    done
done

exit "$found"
