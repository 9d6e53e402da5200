# SPDX-License-Identifier: MIT
"""What has to be in the source distribution and in the wheel of a directory.

    check_package.py DIRECTORY [audit]
"""

import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

directory = Path(sys.argv[1])
(wheel_path,) = directory.glob("prefork-*.whl")
(sdist_path,) = directory.glob("prefork-*.tar.gz")
wrong = []


def check(is_so, what):
    if not is_so:
        wrong.append(what)


def sections(library):
    """The types of the sections of an ELF file of this machine."""
    word = "Q" if library[4] == 2 else "I"
    at = 16 + 2 + 2 + 4 + struct.calcsize(word) * 2
    (start,) = struct.unpack_from(word, library, at)
    size, count = struct.unpack_from("HH", library, at + struct.calcsize(word) + 4 + 6)
    return [struct.unpack_from("I", library, start + i * size + 4)[0] for i in range(count)]


with zipfile.ZipFile(wheel_path) as wheel:
    names = wheel.namelist()
    of_wheel = wheel.read(next(name for name in names if name.endswith("/WHEEL"))).decode()
    metadata = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    library = wheel.read("prefork/_bundled/libprefork.so.0")
check("Root-Is-Purelib: false" in of_wheel, "the wheel is for every platform")
check(not [name for name in names if ".data/" in name], "files are apart from the library")
check([name for name in names if name.endswith("/LICENSE")], "the wheel has no LICENSE")
check(2 not in sections(library), "the library has its symbol table: it is not stripped")
check("License-Expression: MIT" in metadata, "the wheel does not tell its license")
check(not re.search(r"\]\((?!https?://)", metadata), "a link that works in the source tree alone")

with tarfile.open(sdist_path) as sdist:
    files = {name.partition("/")[2] for name in sdist.getnames()}
for name in ("LICENSE", "README.md", "examples/hello.py", "tests/support.py", "check.sh"):
    check(name in files, f"the source distribution has no {name}")

if "audit" in sys.argv:
    done = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", str(wheel_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    (tag,) = re.findall(r"-(manylinux_\w+)\.whl", wheel_path.name)
    said = " ".join(done.stdout.decode().split())
    check(done.returncode == 0 and f'platform tag: "{tag}"' in said, said)

for what in wrong:
    print("check_package.py:", what)
sys.exit(bool(wrong))
