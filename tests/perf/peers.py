"""Other clients, fetched on demand from the registries into the cache folder, in the versions named here.

A peer that cannot be had on this machine is left out, and the reason goes into the report.
"""
import filecmp
import os
import shutil
import subprocess

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
PYTHON = ["opensearch-py==3.2.0", "orjson==3.13.0", "zstandard==0.25.0"]
ELASTICDUMP = "elasticdump@6.125.1"


class Missing(Exception):
    """Why a peer cannot take part."""


def command(words, env=None, folder=None):
    try:
        done = subprocess.run(words, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    except FileNotFoundError as error:
        raise Missing("%s is not installed" % words[0]) from error
    except subprocess.TimeoutExpired as error:
        raise Missing("%s did not end within ten minutes" % words[0]) from error
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise Missing("%s failed: %s" % (" ".join(words[:3]), (lines or ["no message"])[-1].strip()[:200]))
    return done.stdout.strip()


def fetched(folder, wanted, maker):
    """The folder, made by maker(new folder) unless it holds the wanted versions already."""
    mark = os.path.join(folder, "versions")
    if os.path.exists(mark):
        with open(mark, encoding="utf-8") as text:
            if text.read() == wanted:
                return folder
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    maker(folder)
    with open(mark, "w", encoding="utf-8") as text:
        text.write(wanted)
    return folder


def opensearch_py(cache):
    """Folder for PYTHONPATH."""
    def install(folder):
        command(["/usr/bin/python3", "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-warn-script-location",
                 "--target", folder, *PYTHON], dict(os.environ, PIP_ROOT_USER_ACTION="ignore"))
    return fetched(os.path.join(cache, "python"), "\n".join(PYTHON), install)


def elasticdump(cache):
    """The program."""
    command(["node", "--version"])
    folder = fetched(os.path.join(cache, "npm"), ELASTICDUMP, lambda folder: command(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, ELASTICDUMP]))
    return os.path.join(folder, "node_modules", ".bin", "elasticdump")


def go_clients(cache):
    """The driver of peers/go, which has both clients, built beside a copy of its sources."""
    source, target = os.path.join(HERE, "go"), os.path.join(cache, "go")
    program = os.path.join(target, "peer")
    names = sorted(os.listdir(source))
    same = filecmp.cmpfiles(source, target, names, shallow=False)[0] if os.path.isdir(target) else []
    if len(same) != len(names) or not os.path.exists(program):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        # nothing but the versions in go.sum, and no other Go than the one that is installed
        command(["go", "build", "-mod=readonly", "-o", "peer", "."], dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="", GOWORK="off"), target)
    return program


def go_version(module):
    with open(os.path.join(HERE, "go", "go.mod"), encoding="utf-8") as text:
        return next(line.split()[1] for line in text if module in line)


def versions():
    return {"opensearch-py": PYTHON[0].partition("==")[2], "elasticdump": ELASTICDUMP.partition("@")[2],
            "opensearch-go": go_version("opensearch-project/opensearch-go"), "go-elasticsearch": go_version("elastic/go-elasticsearch")}
