"""A headless Chromium: the page as it is parsed, drawn and printed. Tests are skipped where there is none."""
import html
import shutil
import struct
import subprocess
import zlib

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Browser:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def _run(self, *args, page):
        # --no-sandbox: containers and root have none; the pages are our own
        argv = [self.program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                "--disable-dev-shm-usage", "--user-data-dir=%s" % (self.folder / "profile"), *args, "file://%s" % page]
        done = subprocess.run(argv, capture_output=True, timeout=90, cwd=self.folder,
                              env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"})
        assert done.returncode == 0, "the browser failed: %r" % done
        return done.stdout

    def dom(self, page):
        """The document after parsing, as HTML."""
        return self._run("--dump-dom", page=page).decode()

    def screenshot(self, page, width=800, height=1000, dark=False):
        target = self.folder / "shot.png"
        scheme = "--blink-settings=preferredColorScheme=%d" % (0 if dark else 1)
        self._run("--screenshot=%s" % target, "--window-size=%d,%d" % (width, height), scheme, page=page)
        return Picture(target.read_bytes())

    def pdf(self, page):
        target = self.folder / "page.pdf"
        self._run("--print-to-pdf=%s" % target, page=page)
        return target.read_bytes()

    def measure(self, page, width, script):
        """What `script` (an expression of JavaScript) gives for `d`, the page's document in a frame of that width."""
        frame = self.folder / "frame.html"
        frame.write_text('<!DOCTYPE html><meta charset="utf-8"><body><iframe id="f" style="border:0" width="%d" height="900" srcdoc="%s"></iframe>'
                         "<script>f.onload = () => { const d = f.contentDocument; document.body.dataset.out = String(%s) }</script>"
                         % (width, html.escape(page.read_text()), script))
        dom = self.dom(frame)
        assert 'data-out="' in dom, "the frame was not measured"
        return html.unescape(dom.split('data-out="')[1].split('"')[0])


class Picture:
    """A PNG of eight bits a channel, RGB or RGBA, not interlaced (PNG specification, 9: filtering)."""

    def __init__(self, data):
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        at, packed = 8, b""
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            if kind == b"IHDR":
                self.width, self.height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[at + 8:at + 21])
                assert bits == 8 and colour in (2, 6) and interlace == 0
                self.channels = 3 if colour == 2 else 4
            elif kind == b"IDAT":
                packed += data[at + 8:at + 8 + size]
            at += size + 12
        self.rows = self._unfilter(zlib.decompress(packed))

    def _unfilter(self, raw):
        n, stride = self.channels, self.width * self.channels
        rows, above = [], bytearray(stride)
        for y in range(self.height):
            start = y * (stride + 1)
            kind, row = raw[start], bytearray(raw[start + 1:start + 1 + stride])
            for i in range(stride if kind else 0):
                left, up, corner = (row[i - n] if i >= n else 0), above[i], (above[i - n] if i >= n else 0)
                if kind == 4:
                    p = left + up - corner
                    pa, pb, pc = abs(p - left), abs(p - up), abs(p - corner)
                    row[i] = (row[i] + (left if pa <= pb and pa <= pc else up if pb <= pc else corner)) & 255
                else:
                    row[i] = (row[i] + (left if kind == 1 else up if kind == 2 else (left + up) // 2)) & 255
            rows.append(bytes(row))
            above = row
        return rows

    def pixel(self, x, y):
        return tuple(self.rows[y][x * self.channels:x * self.channels + 3])

    def count(self, colour):
        """How many pixels have exactly this colour."""
        n = self.channels
        return sum(row[i:i + 3] == bytes(colour) for row in self.rows for i in range(0, len(row), n))


@pytest.fixture
def browser(tmp_path):
    program = next((found for found in map(shutil.which, NAMES) if found), None)
    if program is None:
        pytest.skip("no Chromium to show the page with")
    folder = tmp_path / "browser"
    folder.mkdir()
    return Browser(program, folder)
