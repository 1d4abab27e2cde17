"""Builds the small libraries and programs in C that the tests load into a process or run, once for each content.

    environment(clock="500:3600")     the variables with which a process has these faults (preload.c says what there is)
    built("nomem.c", "-shared")       the path of what was compiled
"""
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def built(source, *flags):
    source = HERE / source
    key = hashlib.sha256(source.read_bytes() + repr(flags).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / ("sqlite-opensearch-faults-%d" % os.getuid())
    folder.mkdir(mode=0o755, exist_ok=True)
    target = folder / ("%s-%s%s" % (source.stem, key, ".so" if "-shared" in flags else ""))
    if not target.exists():
        part = target.with_name("%s.%d" % (target.name, os.getpid()))
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fPIC", "-pthread", "-o", str(part),
                        str(source), *flags], check=True)
        part.rename(target)
    return str(target)


def preloaded(library):
    """LD_PRELOAD with the library, behind what is in it already (a sanitizer wants to be the first)."""
    return ":".join(filter(None, [os.environ.get("LD_PRELOAD"), library]))


def environment(**faults):
    if not faults:
        return {}
    return {"LD_PRELOAD": preloaded(built("preload.c", "-shared", "-ldl")), **{"FAULTS_" + name.upper(): str(value) for name, value in faults.items()}}
