"""Asks other servers the same: every case goes to Debian's nginx, lighttpd, Apache httpd and h2o as well.

`cargo xtask judge --grid` runs it and prints a table of the cases in which this server differs from all of them. Those
must have a reason in reasons.toml: a `why` in the case, or a name in `[alone]`. What the other servers answer is
written to target/judge/grid.md, whole.
"""

import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib

import suite

# Loopback answers at once; a server that still waits then waits for more.
SECONDS = 0.4

PROBE = b"GET /probe.txt HTTP/1.1\r\nHost: probe.example\r\nConnection: close\r\n\r\n"


def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def nginx(folder, site, number):
    (folder / "nginx.conf").write_text(f"""
daemon off; error_log {folder}/error.log; pid {folder}/pid;
events {{ }}
http {{
    access_log off; include /etc/nginx/mime.types; charset utf-8; gzip_static on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{number}; root {site}; absolute_redirect off; error_page 404 /404.html; }}
}}
""")
    return ["nginx", "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log"]


def lighttpd(folder, site, number):
    (folder / "lighttpd.conf").write_text(f"""
server.document-root = "{site}"
server.port = {number}
server.bind = "127.0.0.1"
server.errorlog = "{folder}/error.log"
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html", ".txt" => "text/plain", ".css" => "text/css", ".jpg" => "image/jpeg" )
""")
    return ["lighttpd", "-D", "-f", folder / "lighttpd.conf"]


def apache2(folder, site, number):
    (folder / "apache2.conf").write_text(f"""
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
ServerName localhost
Listen 127.0.0.1:{number}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
TypesConfig /etc/mime.types
DocumentRoot {site}
DirectoryIndex index.html
ErrorDocument 404 /404.html
TraceEnable off
""")
    return ["apache2", "-X", "-f", folder / "apache2.conf"]


def h2o(folder, site, number):
    (folder / "h2o.conf").write_text(f"""
listen: {{ host: 127.0.0.1, port: {number} }}
num-threads: 1
hosts:
  default:
    paths:
      "/":
        file.dir: {site}
        file.send-gzip: ON
""")
    return ["h2o", "-m", "worker", "-c", folder / "h2o.conf"]


class Other:
    """A server from a package, serving the site."""

    def __init__(self, name, configure, folder, site):
        self.name = name
        folder = folder / name
        folder.mkdir()
        folder.chmod(0o777)
        self.address = ("127.0.0.1", port())
        command = configure(folder, site, self.address[1])
        log = open(folder / "output", "w")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(100):
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{name} does not start:\n{(folder / 'output').read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def statuses(received, heads):
    """The statuses in what came, with what became of the connection. `heads` says which answer HEAD."""
    found = []
    probed = False
    while received:
        head, empty, rest = received.partition(b"\r\n\r\n")
        words = head.split(None, 2)
        if not empty or not words[0].startswith(b"HTTP/1.") or len(words) < 2:
            found.append("0.9")
            break
        status = words[1].decode()
        received = rest
        if status.startswith("1"):
            found.append(status)
            continue
        to_head = len(found) < len(heads) and heads[len(found)]
        content = b""
        if not to_head and status not in ("204", "304"):
            content, received = read_content(head.lower(), rest)
        probed = content.strip() == b"probe" and b"connection: close" in head.lower() and not received
        found.append(status)
    return found, probed


def read_content(head, rest):
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
            return rest[:length], rest[length:]
        if line.startswith(b"transfer-encoding:"):
            content = b""
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                length = int(size.split(b";")[0] or b"0", 16)
                content, rest = content + rest[:length], rest[length + 2 :]
                if not length:
                    break
            return content, rest
    return rest, b""


def ask(address, case):
    """Statuses and fate in a few letters: `200 404` when the connection is kept, `400 close` when it ends."""

    def look_up(words):
        what, path = words.split(" ", 1)
        request = f"HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        head, _ = suite.converse(address, request.encode(), SECONDS)
        name = {"etag": "etag", "modified": "last-modified"}[what]
        for line in head.decode("latin-1").split("\r\n"):
            if line.lower().startswith(name + ": "):
                return line.split(": ", 1)[1]
        return '"none"'

    probe = case.get("probe", True)
    received, ended = suite.converse(address, suite.message(case, look_up) + (PROBE if probe else b""), SECONDS)
    expected = case.get("answers", ["200"])
    found, probed = statuses(received, [answer.startswith("HEAD ") for answer in expected])
    # The probe is the last response, unless the case itself asks for its file, and was the last.
    if probed and len(found) > len(expected) or probed and len(found) > 1:
        found.pop()
    else:
        probed = False
    fate = [] if probed else ["close" if ended else "wait"]
    return " ".join(found + fate) or "nothing"


def main():
    missing = [name for name in ("nginx", "lighttpd", "apache2", "h2o") if not shutil.which(name)]
    if missing:
        raise SystemExit(f"these are missing: apt-get install {' '.join(missing)}")
    reasons = tomllib.loads((suite.FOLDER / "reasons.toml").read_text())
    alone = reasons.get("alone", {})
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        site = folder / "site"
        suite.make_site(site)
        others = [Other(function.__name__, function, folder, site) for function in (nginx, lighttpd, apache2, h2o)]
        try:
            rows = list(compare(site, others))
        finally:
            for other in others:
                other.stop()
    table = ["| case | pluto | nginx | lighttpd | apache2 | h2o |", "|---|---|---|---|---|---|"]
    unexplained = []
    for key, why, answers in rows:
        table.append(f"| {key} | {' | '.join(answers)} |")
        if answers[0] not in answers[1:]:
            reason = why or next((reason for reason, keys in alone.items() if key in keys), None)
            if not reason:
                unexplained.append(table[-1])
    path = suite.REPOSITORY / "target/judge/grid.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(table) + "\n")
    print(f"{len(rows)} cases, in {path}; {len(unexplained)} differ from all others without a reason")
    print("\n".join(unexplained))
    return 1 if unexplained else 0


def compare(site, others):
    """For each case its name, its reason, and what each server answers."""
    for stem, cases in suite.suites():
        if cases.get("options") or cases.get("files"):
            continue  # the others would need the same, each in its own way
        with suite.Pluto(site) as pluto:
            for case in cases["case"]:
                answers = [ask(server.address, case) for server in (pluto, *others)]
                yield f"{stem}: {case['name']}", case.get("why"), answers


if __name__ == "__main__":
    sys.exit(main())
