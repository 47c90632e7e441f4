"""What libraries say to a terminal while a run works."""

from __future__ import annotations

import logging

from genhub.execution.log import without_noise


def test_noise_stays_off_the_terminal_until_the_outermost_block_ends() -> None:
    """Ranks that are threads each have a block of their own, inside one for all of them."""
    from diffusers.utils import logging as of_diffusers

    of_diffusers.get_logger("diffusers")  # sets the library's handler up
    handler = logging.getLogger("diffusers").handlers[0]
    noise = logging.makeLogRecord({"msg": "Expected types for vae: ..."})
    with without_noise():
        with without_noise():
            assert not handler.filter(noise)
        assert not handler.filter(noise)
    assert handler.filter(noise)
