# SPDX-License-Identifier: MIT
"""What pyproject.toml cannot say: a wheel that bundles the shared library.

With PREFORK_BUNDLE set to the path of libprefork.so.0 the wheel has a copy of it, and the
platform that this copy needs in its name. Without, the wheel is for any platform, and the
library is looked for when the package is imported.
"""

from __future__ import annotations

import os
import platform
import re
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

BUNDLE = os.environ.get("PREFORK_BUNDLE")


def platform_tag(path: str) -> str:
    """The oldest C library that has all versions of symbols that the shared library asks for."""
    with open(path, "rb") as file:
        found = re.findall(rb"GLIBC_2\.(\d+)", file.read())
    return f"manylinux_2_{max([17, *map(int, found)])}_{platform.machine()}"


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        directory = os.path.join(self.build_lib, "prefork", "_bundled")
        shutil.rmtree(directory, ignore_errors=True)  # of a build before this one
        if BUNDLE:
            os.makedirs(directory, exist_ok=True)
            shutil.copyfile(BUNDLE, os.path.join(directory, "libprefork.so.0"))


class WheelWithLibrary(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        if BUNDLE:
            self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        return ("py3", "none", platform_tag(BUNDLE) if BUNDLE else "any")


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelWithLibrary})
