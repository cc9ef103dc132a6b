"""Compiles the hot loops (``*_loops.pyx``) while the project is built, where a C compiler is to be had.

Each has a plain twin beside it, which serves where there is none: slower, and equal.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LOOPS = "*/*_loops.pyx"


class CompiledLoops(BuildHookInterface[Any]):
    """Puts each loop's shared library beside its source, and into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - as hatchling calls it
        """Compile; say in one line what was not, and why."""
        try:
            made = compiled(Path(self.root))
        except Exception as error:  # noqa: BLE001 - whatever a compiler or its absence raises
            print(f"the loops stay uncompiled, and slower: {error}", file=sys.stderr)
            return
        build_data["artifacts"] += [f"/{path}" for path in made]
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def compiled(root: Path) -> list[str]:
    """Compile the loops of the tree at *root*; return the libraries, relative to it."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    sources = sorted(root.glob(LOOPS))
    loops = [
        Extension(f"{source.parent.name}.{source.stem}", [str(source)], extra_compile_args=["-O3", "-g0"])
        for source in sources
    ]
    work = root / "build" / "loops"
    extensions = cythonize(loops, build_dir=str(work), compiler_directives={"language_level": 3}, quiet=True)
    command = build_ext(Distribution({"ext_modules": extensions}))
    command.build_temp, command.build_lib = str(work), str(work)
    command.ensure_finalized()
    command.run()
    made = []
    for extension in extensions:
        library = Path(command.get_ext_fullpath(extension.name))
        place = root / extension.name.partition(".")[0] / library.name
        place.unlink(missing_ok=True)  # one that runs keeps the old file
        place.write_bytes(library.read_bytes())
        made.append(str(place.relative_to(root)))
    return made
