"""The cases and the site of this folder, for scripts: see README.md for how a case is written."""

import datetime
import os
import pathlib
import re
import socket
import subprocess
import tomllib

FOLDER = pathlib.Path(__file__).parent
REPOSITORY = FOLDER.parent.parent

# When every file of the site was last changed, as in mod.rs.
MODIFIED = datetime.datetime(2014, 6, 25, 17, 12, 18, tzinfo=datetime.timezone.utc).timestamp()


def text(source, look_up=None):
    """The bytes that a text of a case stands for."""

    def replace(match):
        words = match.group(1)
        count, times, repeated = words.partition("×")
        return repeated * int(count) if times else look_up(words)

    return re.sub("‹(.*?)›", replace, source, flags=re.DOTALL).encode("latin-1")


def message(case, look_up=None):
    """What the client of a case sends."""
    if "send" in case:
        return text(case["send"], look_up)
    line, fields = case["line"], case.get("fields", [])
    hosted = line.endswith("HTTP/1.0") or any(field.startswith("Host:") for field in fields)
    lines = [line, *([] if hosted else ["Host: example.org"]), *fields, ""]
    return text("".join(f"{line}\r\n" for line in lines), look_up) + text(case.get("body", ""), look_up)


def suites():
    """Names and contents of the files of cases."""
    for path in sorted((FOLDER / "cases").glob("*.toml")):
        yield path.stem, tomllib.loads(path.read_text())


def make_site(folder, more={}):
    """Writes the site of the cases into a folder, with some files more."""
    files = tomllib.loads((FOLDER / "site.toml").read_text())["files"]
    for name, content in (files | more).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text(content))
        os.utime(path, (MODIFIED, MODIFIED))


class Pluto:
    """The built web server, serving a folder at a port that the system chooses."""

    def __init__(self, folder, *options):
        host = REPOSITORY / "target/release/pluto-host"
        guest = REPOSITORY / "target/guests/pluto.wasm"
        command = [host, "--log", "off", guest, "0", folder, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said = ""
        for line in self.process.stderr:
            said += line
            if found := re.search(r"serving .*http://([^/:]*):(\d+)", line):
                self.address = (found.group(1), int(found.group(2)))
                return
        raise SystemExit(f"the server did not start (`cargo xtask build` makes it):\n{said}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def converse(address, sent, seconds):
    """Sends bytes, and returns what comes until the server ends the connection or nothing comes for so long, and whether
    it has ended."""
    with socket.create_connection(address, timeout=seconds) as client:
        received = b""
        try:
            client.sendall(sent)
        except OSError:
            pass  # it may have closed in the midst of it
        try:
            while piece := client.recv(65536):
                received += piece
            return received, True
        except TimeoutError:
            return received, False
        except OSError:
            return received, True
