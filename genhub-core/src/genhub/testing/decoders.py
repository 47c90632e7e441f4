"""What holds for every decoder of signals."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

import pytest

from genhub.api import Embeddings, GenHubError, Signals
from genhub.testing.guards import dice
from genhub.testing.plugins import PluginTests, complain, one_line

__all__ = ["DecoderTests"]


class DecoderTests(PluginTests):
    """Checks of a decoder.

    `source` is what `read` is given, a small one. `context` gives what `condition` needs of a run;
    left as it is, `condition` is not tried.
    """

    kind: ClassVar[str] = "decoders"
    source: ClassVar[str | Mapping[str, Any] | None] = None

    @classmethod
    def context(cls) -> Any:
        """Give a `genhub.api.Context` with the pipeline that is conditioned, or None."""
        return None

    def test_reads_signals(self) -> None:
        """`read` gives Signals: finite numbers [B, V] and whose they are, twice the same."""
        import numpy as np

        for driver in self._drivers():
            once, twice = list(driver.read(self.source)), list(driver.read(self.source))
            if not once:
                complain(f"read({self.source!r}) gives nothing")
            for batch in once:
                if not isinstance(batch, Signals) or batch.values.ndim != 2 or not batch.subject:
                    complain(f"read() gave {batch!r}: Signals with values [B, V] and a subject")
                if not np.isfinite(batch.values).all():
                    complain("read() gave signals that are not finite: refuse or mend them")
            pairs = zip(once, twice, strict=False)
            if len(once) != len(twice) or any((a.values != b.values).any() for a, b in pairs):
                complain("a second read() gives other signals")

    def test_missing_source_is_told(self) -> None:
        """A path that does not exist is told as a GenHubError."""
        for driver in self._drivers():
            try:
                list(driver.read("no/such/file"))
            except GenHubError:
                continue
            except Exception as error:
                complain(f"read('no/such/file') raised {one_line(error)}: raise GenHubError")
            complain("read('no/such/file') raises nothing")

    def test_decodes_each_row(self) -> None:
        """`decode` gives finite tensors [B, T, D], the space of each, and no row sees another."""
        for driver in self._drivers():
            signals = self._signals(driver)
            made = driver.decode(signals)
            if not isinstance(made, Embeddings) or set(made.values) - set(made.space):
                complain("decode() must give Embeddings with the space of every tensor")
            for name, tensor in made.values.items():
                if tensor.ndim != 3 or len(tensor) != len(signals.values):
                    complain(f"{name} is {tuple(tensor.shape)}: [B, T, D], B rows of the signals")
                if not tensor.isfinite().all():
                    complain(f"{name} is not finite")
            one = driver.decode(Signals(signals.values[:1], signals.subject, signals.meta))
            for name, tensor in one.values.items():
                gap = (tensor[0] - made.values[name][0]).abs().max()
                if not float(gap) <= 1e-4 * float(made.values[name].abs().max()):
                    complain(f"{name} of the first row differs when it is decoded alone")

    def test_decoding_repeats(self) -> None:
        """Decoding twice gives the same, and leaves the shared random generators alone."""
        for driver in self._drivers():
            signals, before = self._signals(driver), dice()
            once, twice = driver.decode(signals), driver.decode(signals)
            if any(not x.equal(twice.values[name]) for name, x in once.values.items()):
                complain("decoding the same signals twice gives two results")
            if dice() != before:
                complain("decode() uses a global random generator: make one of its own")

    def test_other_width_is_told(self) -> None:
        """`condition` refuses embeddings of another width than the pipeline's."""
        import torch

        context = self.context()
        if context is None:
            pytest.skip("the test class gives no context()")
        for driver in self._drivers():
            made = driver.decode(self._signals(driver))
            wider = {k: torch.cat([x, x[..., :1]], -1) for k, x in made.values.items()}
            if not isinstance(driver.condition(made, context), dict):
                complain("condition() must give the keyword arguments of the pipeline's call")
            try:
                driver.condition(Embeddings(wider, made.space), context)
            except GenHubError:
                continue
            except Exception as error:
                complain(f"condition() raised {one_line(error)} for another width: GenHubError")
            complain("condition() takes embeddings that are wider than the pipeline's")

    def _drivers(self) -> list[Any]:
        if self.source is None:
            pytest.skip("the test class names no source")
        return [self.driver_class()(config) for _, config in self.valid()]

    def _signals(self, driver: Any) -> Signals:
        found: Signals = next(islice(driver.read(self.source), 1))
        return found
