"""Sound for the page: a player, a mel picture and the envelope of the waveform."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genhub.report.media import Picture, Room, data_uri, fit_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sound", "embed_sound"]

WINDOW = 1024  # samples of one spectrum
BANDS = 80
COLUMNS = 480  # most of one picture
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
    spectra, highest, lowest = _columns(file, count)
    mel = _painted(_mel(spectra, rate), most // 4)
    left = most - (len(mel.uri) if mel else 0)
    uri, preview = None, None
    if path.stat().st_size * 4 // 3 + 40 <= left:
        uri = data_uri("audio/wav", path.read_bytes())
    elif (slower := _divisor(rate, count, left)) is not None:
        uri = data_uri("audio/wav", _slower(file, slower))
        preview = rate // slower
    outline = [*enumerate(-highest), *reversed(list(enumerate(-lowest)))]
    across = 100 / max(1, len(highest) - 1)
    envelope = " ".join(f"{i * across:.4g},{v:.3f}" for i, v in outline)
    return Sound(uri, count / rate, rate, channels, mel, envelope, preview)


def _columns(file: wave.Wave_read, count: int) -> tuple[NDArray[np.float64], ...]:
    """Give the power spectra [columns, bins] and the highest and lowest pulse of each column."""
    columns = min(COLUMNS, max(2, count // (WINDOW // 4)))
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


def _painted(mel: NDArray[np.float64], most: int) -> Picture | None:
    """Paint decibels below the loudest band; low tones at the bottom."""
    from matplotlib import colormaps
    from PIL import Image

    level = 10 * np.log10(np.maximum(mel, 1e-12))
    shade = np.clip(1 + (level - level.max()) / QUIETEST, 0, 1)
    image = Image.fromarray(colormaps["magma"](shade.T[::-1], bytes=True)[..., :3])
    return fit_picture(image.resize((max(240, len(mel)), HEIGHT)), COLUMNS, most)


def _divisor(rate: int, count: int, most: int) -> int | None:
    """Find by how much a sound must be slowed down to fit, as one channel; None: by too much."""
    for divisor in range(1, max(1, rate // LOWEST_RATE) + 1):
        if (count // divisor * 2 + 64) * 4 // 3 + 40 <= most:
            return divisor
    return None


def _slower(file: wave.Wave_read, divisor: int) -> bytes:
    """Give a WAV of one channel that keeps the mean of every `divisor` samples."""
    buffer = BytesIO()
    file.rewind()
    with wave.open(buffer, "wb") as small:
        small.setnchannels(1)
        small.setsampwidth(2)
        small.setframerate(file.getframerate() // divisor)
        block = divisor * (1 << 16)
        while len(pulses := _mono(file, block)) >= divisor:
            means = pulses[: len(pulses) // divisor * divisor].reshape(-1, divisor).mean(axis=1)
            small.writeframes((means * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
