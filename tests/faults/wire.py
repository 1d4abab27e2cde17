"""HTTP/1.1 on one socket, as a server between two others sees it: messages as they were on the wire, and a connection that can
be dropped rudely. Standard library only."""
import ctypes
import gzip
import socket
import struct
import zlib

REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
           503: "Service Unavailable", 504: "Gateway Timeout"}


class Cut(Exception):
    """The connection to the client is to be dropped now."""


class Message:
    """One HTTP request or answer: first line, headers in order, body as it was on the wire (not chunked)."""

    def __init__(self, first, headers, body):
        self.first, self.headers, self.body = first, headers, body

    def header(self, name, fallback=None):
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return fallback

    def drop(self, *names):
        self.headers = [(k, v) for k, v in self.headers if k.lower() not in names]

    def plain_body(self):
        encoding = (self.header("content-encoding") or "").lower()
        if encoding == "gzip":
            return gzip.decompress(self.body)
        if encoding == "deflate":
            return zlib.decompress(self.body)
        return self.body

    def set_body(self, body, content_type=None):
        self.drop("content-encoding", "content-length", "transfer-encoding")
        if content_type:
            self.drop("content-type")
            self.headers.append(("content-type", content_type))
        self.body = body

    def bytes(self, body_len=None):
        head = [self.first] + ["%s: %s" % h for h in self.headers if h[0].lower() not in ("content-length", "transfer-encoding")]
        head.append("content-length: %d" % (len(self.body) if body_len is None else body_len))
        return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


class Wire:
    """Reads and writes HTTP messages on one socket."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.last = None  # the answer of the last bulk request

    def _more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("closed")
        return data

    def read_head(self):
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = [(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:])]
        return lines[0], headers

    def read_exactly(self, size):
        parts, have = [self.rest[:size]], min(len(self.rest), size)
        self.rest = self.rest[size:]
        while have < size:
            data = self._more()
            take = data[:size - have]
            self.rest = data[len(take):]
            parts.append(take)
            have += len(take)
        return b"".join(parts)

    def _read_line(self):
        while b"\r\n" not in self.rest:
            self.rest += self._more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def read_chunked(self):
        parts = []
        while True:
            size = int(self._read_line().split(b";")[0], 16)
            if size == 0:
                while self._read_line():
                    pass
                return b"".join(parts)
            parts.append(self.read_exactly(size))
            self._read_line()

    def read_body(self, headers, head_only=False):
        get = {k.lower(): v for k, v in headers}
        if head_only:
            return b""
        if "chunked" in get.get("transfer-encoding", "").lower():
            return self.read_chunked()
        return self.read_exactly(int(get.get("content-length", 0)))

    def send(self, message, body=None, body_len=None):
        self.sock.sendall(message.bytes(body_len))
        body = message.body if body is None else body
        if body:
            self.sock.sendall(body)

    def renew_keys(self):
        """TLS 1.3: new keys in both directions; 1.2: a renegotiation. Python's module has neither, so libssl is asked; the
        pointer to its object follows the head of ours and one reference (CPython 3.11, Modules/_ssl.c, PySSLSocket)."""
        library = ctypes.CDLL("libssl.so.3")
        state = self.sock._sslobj  # kept until the calls are through
        if state is None:
            raise ConnectionError("closed")
        handle = ctypes.c_void_p(ctypes.c_void_p.from_address(id(state) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)).value)
        if self.sock.version() == "TLSv1.3":
            asked = library.SSL_key_update(handle, 1)  # SSL_KEY_UPDATE_REQUESTED
        else:
            asked = library.SSL_renegotiate(handle)
        if asked != 1 or library.SSL_do_handshake(handle) != 1:
            raise ConnectionError("no new keys")

    def close(self, reset=False):
        try:
            if reset:  # RST instead of FIN, as a crashed peer or a firewall does
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
        except OSError:
            pass


def made_answer(code, body, content_type="application/json; charset=UTF-8", headers=()):
    return Message("HTTP/1.1 %d %s" % (code, REASONS.get(code, "Status")), [("content-type", content_type), *headers], body)
