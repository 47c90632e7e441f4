"""Find the one text that GenHub puts into a file: PNG iTXt, WAV ICMT, WebP XMP, MP4 comment.

Files may come from anywhere: only heads of chunks are read, at most `MOST_CHUNKS` of them on one
level, and no text larger than `MOST_TEXT` bytes is taken into memory.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from html import escape, unescape
from struct import unpack
from typing import BinaryIO

__all__ = ["KEYWORD", "MOST_TEXT", "Oversized", "find_text", "xmp_packet"]

KEYWORD = b"genhub"
MOST_TEXT = 1 << 20  # bytes of embedded text
MOST_CHUNKS = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_XMP = re.compile(rb"<genhub:config>([^<]*)</genhub:config>")
# Where the comment of a film stands, and how many bytes of a box come before its content.
_MP4_PATH = ((b"moov", 0), (b"udta", 0), (b"meta", 4), (b"ilst", 0), (b"\xa9cmt", 0), (b"data", 8))


class Oversized(ValueError):
    """A text is larger than anything that GenHub writes."""


def find_text(file: BinaryIO) -> bytes | None:
    """Give the text inside an open file, None where it holds none.

    Raises LookupError for a format that is not read, Oversized, and ValueError, zlib.error or
    struct.error for a file that is damaged.
    """
    head = file.read(12)
    if head.startswith(_PNG):
        return _in_png(file)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _in_wav(file)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return _in_webp(file)
    if head[4:8] == b"ftyp":
        return _in_mp4(file)
    raise LookupError


def xmp_packet(text: bytes) -> bytes:
    """Wrap a text as XMP, the form in which WebP carries such things."""
    inside = escape(text.decode(), quote=False)
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:genhub="urn:genhub">'
        f"<genhub:config>{inside}</genhub:config>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def _in_png(file: BinaryIO) -> bytes | None:
    file.seek(len(_PNG))
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return None
        length, kind = unpack(">I4s", head)
        if kind == b"IEND":
            return None
        if kind == b"iTXt" and length <= MOST_TEXT:
            body = file.read(length)
            if body.startswith(KEYWORD + b"\0"):
                return _itxt(body[len(KEYWORD) + 1 :])
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return None


def _itxt(body: bytes) -> bytes:
    _, _, text = body[2:].split(b"\0", 2)  # language and translated keyword are empty
    if body[0] != 1:
        return text
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(text, MOST_TEXT)
    if unpacker.unconsumed_tail:
        raise Oversized
    return text


def _in_wav(file: BinaryIO) -> bytes | None:
    for kind, size in _riff_chunks(file):
        if kind == b"LIST" and file.read(4) == b"INFO":
            end = file.tell() + size - 4
            for name, length in _riff_chunks(file):
                if file.tell() + length > end:
                    break
                if name == b"ICMT":
                    return _bounded(file, length).rstrip(b"\0")
    return None


def _in_webp(file: BinaryIO) -> bytes | None:
    for kind, size in _riff_chunks(file):
        if kind == b"XMP ":
            found = _XMP.search(_bounded(file, size))
            return unescape(found[1].decode()).encode() if found else None
    return None


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Give name and size of chunk after chunk, the file standing at each one's content."""
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        kind, size = unpack("<4sI", head)
        following = file.tell() + size + size % 2
        yield kind, size
        file.seek(following)


def _in_mp4(file: BinaryIO) -> bytes | None:
    start, end = 0, file.seek(0, os.SEEK_END)
    for name, before in _MP4_PATH:
        found = next((span for kind, *span in _boxes(file, start, end) if kind == name), None)
        if found is None:
            return None
        start, end = found[0] + before, found[1]
    file.seek(start)
    return _bounded(file, max(0, end - start))


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Give name, begin and end of the content of the boxes between two places."""
    for _ in range(MOST_CHUNKS):
        if start + 8 > end:
            return
        file.seek(start)
        size, kind = unpack(">I4s", file.read(8))
        inside = start + 8
        if size == 1:
            (size,) = unpack(">Q", file.read(8))
            inside += 8
        following = end if size == 0 else start + size
        if not inside <= following <= end:
            return
        yield kind, inside, following
        start = following


def _bounded(file: BinaryIO, size: int) -> bytes:
    if size > MOST_TEXT:
        raise Oversized
    return file.read(size)
