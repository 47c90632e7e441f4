"""A window that shows frames (render_mode "human"); needs pygame."""

from __future__ import annotations

import numpy as np

from genhub_cprocgen.errors import OptionError

__all__ = ["Window"]


class Window:
    """Shows frames of side x side pixels."""

    def __init__(self, side: int, title: str) -> None:
        """Open the window; raises OptionError where pygame or a screen is missing."""
        try:
            import pygame
        except ImportError:
            raise OptionError(
                'a window (render_mode "human") needs pygame: pip install "genhub-cprocgen[window]"'
            ) from None
        self._pygame = pygame
        try:
            pygame.display.init()
            self._screen = pygame.display.set_mode((side, side))
        except pygame.error as error:
            raise OptionError(f"no window can be opened here: {error}") from None
        pygame.display.set_caption(title)

    def show(self, frame: np.ndarray) -> None:
        """Show a frame, uint8 [side, side, 3]."""
        surface = self._pygame.surfarray.make_surface(frame.transpose(1, 0, 2))
        self._screen.blit(surface, (0, 0))
        self._pygame.display.flip()
        self._pygame.event.pump()

    def pressed(self) -> set[str]:
        """Name the keys that are held down."""
        pygame = self._pygame
        pygame.event.pump()
        held = pygame.key.get_pressed()
        keys = ("left", "right", "up", "down", "a", "d", "e", "q", "s", "w", "r", "escape")
        return {name for name in keys if held[pygame.key.key_code(name)]}

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()
