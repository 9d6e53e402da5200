# SPDX-License-Identifier: MIT
"""What pyproject.toml cannot say: a wheel that bundles the shared library.

With PREFORK_BUNDLE set to the path of libprefork.so.0 the wheel has a stripped copy of it, and
the platform that this copy needs in its name. Without, the wheel is for any platform, and the
library is looked for when the package is imported.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

BUNDLE = os.environ.get("PREFORK_BUNDLE")


# The versions of the C library that auditwheel has a policy for.
POLICIES = (17, 24, 26, 27, 28, 31, *range(34, 100))


def platform_tag(path: str) -> str:
    """The oldest C library that has all versions of symbols that the shared library asks for."""
    with open(path, "rb") as file:
        found = re.findall(rb"GLIBC_2\.(\d+)", file.read())
    newest = max([0, *map(int, found)])
    return f"manylinux_2_{next(p for p in POLICIES if p >= newest)}_{platform.machine()}"


class MaybeBinary(Distribution):
    """With a library, all of the package belongs to the directory of one platform."""

    def has_ext_modules(self) -> bool:
        return bool(BUNDLE)


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        directory = os.path.join(self.build_lib, "prefork", "_bundled")
        shutil.rmtree(directory, ignore_errors=True)  # of a build before this one
        if BUNDLE:
            os.makedirs(directory, exist_ok=True)
            copy = os.path.join(directory, "libprefork.so.0")
            shutil.copyfile(BUNDLE, copy)
            strip = shutil.which("strip")
            if strip:
                subprocess.run([strip, "--strip-unneeded", copy], check=True)


class WheelWithLibrary(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # By ctypes: for every version and implementation of Python 3.
        return ("py3", "none", platform_tag(BUNDLE) if BUNDLE else "any")


setup(
    distclass=MaybeBinary,
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelWithLibrary},
)
