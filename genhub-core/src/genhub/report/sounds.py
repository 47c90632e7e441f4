"""Sound for the page: a player, a mel picture and the envelope of the waveform."""

from __future__ import annotations

import struct
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genhub.report.media import Picture, Room, data_uri, fit_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sound", "embed_sound"]

WINDOW = 1024  # samples of one spectrum
BANDS = 80
COLUMNS = 480  # of one picture
LONG = 20.0  # seconds from which a sound is drawn over the whole page
QUIETEST = 80.0  # dB below the loudest band
LOWEST_RATE = 8000
HEIGHT = 96  # pixels


@dataclass(frozen=True)
class Sound:
    """What the page shows of one sound; `uri` is None where it is too large to travel along."""

    uri: str | None
    seconds: float
    rate: int
    channels: int
    mel: Picture | None
    envelope: str  # points of a polygon, 0..100 across and -1..1 down
    preview: int | None = None  # samples a second of what `uri` holds, where it is not the file
    bits: int = 16  # of each sample there

    @property
    def is_long(self) -> bool:
        """Say whether it is drawn over the whole page."""
        return self.seconds > LONG

    @property
    def width(self) -> int:
        """Give the width of its pictures in pixels."""
        return COLUMNS * (2 if self.is_long else 1)


def embed_sound(path: Path, room: Room) -> Sound | None:
    """Bring a WAV of 16 bits into the page, as a smaller preview where it must be.

    Reads the file in blocks, however long it is. Gives None for what cannot be read.
    """
    try:
        with wave.open(str(path), "rb") as file:
            sound = _of(file, path, room.share)
    except (OSError, EOFError, wave.Error, ValueError, ZeroDivisionError):
        sound = None
    room.take(len(sound.uri or "") + (len(sound.mel.uri) if sound.mel else 0) if sound else 0)
    return sound


def _of(file: wave.Wave_read, path: Path, most: int) -> Sound:
    rate, channels, count = file.getframerate(), file.getnchannels(), file.getnframes()
    if file.getsampwidth() != 2 or count < 1 or rate < 1:
        raise ValueError("no sound of 16 bits")
    columns = COLUMNS * (2 if count > LONG * rate else 1)
    spectra, highest, lowest = _columns(file, count, columns)
    mel = _painted(_mel(spectra, rate), columns, most // 4)
    left = most - (len(mel.uri) if mel else 0)
    uri, preview, bits = None, None, 16
    if path.stat().st_size * 4 // 3 + 40 <= left:
        uri = data_uri("audio/wav", path.read_bytes())
    elif (smaller := _smaller(rate, count, left)) is not None:
        divisor, bits = smaller
        uri, preview = data_uri("audio/wav", _preview(file, divisor, bits)), rate // divisor
    outline = [*enumerate(-highest), *reversed(list(enumerate(-lowest)))]
    across = 100 / max(1, len(highest) - 1)
    envelope = " ".join(f"{i * across:.4g},{v:.3f}" for i, v in outline)
    return Sound(uri, count / rate, rate, channels, mel, envelope, preview, bits)


def _columns(file: wave.Wave_read, count: int, most: int) -> tuple[NDArray[np.float64], ...]:
    """Give the power spectra [columns, bins] and the highest and lowest pulse of each column."""
    columns = min(most, max(2, count // (WINDOW // 4)))
    hann = np.hanning(WINDOW)
    spectra, highest, lowest = [], [], []
    for i in range(columns):
        begin, end = i * count // columns, max((i + 1) * count // columns, 1)
        file.setpos(min(begin, max(0, count - WINDOW)))
        pulses = _mono(file, max(WINDOW, end - begin))
        pulses = pulses if len(pulses) else np.zeros(1)
        highest.append(pulses.max())
        lowest.append(pulses.min())
        first = pulses[:WINDOW]
        spectra.append(np.abs(np.fft.rfft(first * hann[: len(first)], WINDOW)) ** 2)
    return np.array(spectra), np.array(highest), np.array(lowest)


def _mono(file: wave.Wave_read, count: int) -> NDArray[np.float64]:
    """Read the mean of all channels, -1..1."""
    channels = file.getnchannels()
    pulses = np.frombuffer(file.readframes(count), "<i2")
    whole = pulses[: len(pulses) // channels * channels].reshape(-1, channels)
    return whole.mean(axis=1) / 32768


def _mel(spectra: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Sum power spectra over triangles that are even on the mel scale (O'Shaughnessy 1987)."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / rate)
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    narrow = triangles.sum(axis=1) == 0  # narrower than a bin: take the nearest one
    nearest = np.abs(bins - corners[1:-1, None]).argmin(axis=1)
    triangles[narrow, nearest[narrow]] = 1
    return np.asarray(spectra @ triangles.T)


def _painted(mel: NDArray[np.float64], columns: int, most: int) -> Picture | None:
    """Paint decibels below the loudest band; low tones at the bottom."""
    from matplotlib import colormaps
    from PIL import Image

    level = 10 * np.log10(np.maximum(mel, 1e-12))
    shade = np.clip(1 + (level - level.max()) / QUIETEST, 0, 1)
    image = Image.fromarray(colormaps["magma"](shade.T[::-1], bytes=True)[..., :3])
    return fit_picture(image.resize((max(240, len(mel)), HEIGHT)), columns, most)


def _smaller(rate: int, count: int, left: int) -> tuple[int, int] | None:
    """Find by how much a sound must be slowed down to fit as one channel, and in how many bits.

    8 bits only where the slowest is too large in 16; None where it is so in 8.
    """
    for bits in (16, 8):
        for divisor in range(1, max(1, rate // LOWEST_RATE) + 1):
            if (count // divisor * bits // 8 + 64) * 4 // 3 + 40 <= left:
                return divisor, bits
    return None


def _preview(file: wave.Wave_read, divisor: int, bits: int) -> bytes:
    """Give a WAV of one channel that keeps the mean of every `divisor` samples."""
    file.rewind()
    rate, block = file.getframerate() // divisor, divisor * (1 << 16)
    kept = []
    while len(pulses := _mono(file, block)) >= divisor:
        means = pulses[: len(pulses) // divisor * divisor].reshape(-1, divisor).mean(axis=1)
        whole = (means * 32767).astype("<i2")
        kept.append(whole.tobytes() if bits == 16 else _companded(whole).tobytes())
    data = b"".join(kept)
    form, size = (1, 2) if bits == 16 else (7, 1)  # PCM, mu-law
    about = struct.pack("<HHIIHHH", form, 1, rate, rate * size, size, bits, 0)
    parts = [(b"fmt ", about), (b"fact", struct.pack("<I", len(data) // size)), (b"data", data)]
    body = b"".join(name + struct.pack("<I", len(held)) + held for name, held in parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def _companded(pulses: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Give samples in 8 bits, finer where they are soft (ITU-T G.711, mu-law)."""
    size = np.minimum(np.abs(pulses.astype(np.int32)), 32635) + 132
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    mantissa = (size >> (exponent + 3)) & 15
    sign = np.where(pulses < 0, 128, 0)
    return np.asarray(255 - (sign | exponent << 4 | mantissa), np.uint8)
