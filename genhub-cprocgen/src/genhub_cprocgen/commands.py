"""`genhub cprocgen contexts`, `genhub cprocgen play` and `genhub cprocgen bench`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genhub.api import Command, GenHubError

__all__ = ["CProcgenCommand"]

MODES = "easy, hard, extreme, memory or exploration"


class CProcgenCommand(Command):
    """What can be set, what it looks like, and how fast it is here."""

    summary = "look up parameters of contexts, play a game, or measure the engine's speed"

    def arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments of all three."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        contexts = actions.add_parser("contexts", help="list the parameters of contexts")
        contexts.add_argument("games", nargs="*", metavar="GAME", help="default: all games")
        contexts.add_argument(
            "--find", metavar="TEXT", help="only what has this in name or meaning"
        )
        contexts.add_argument("--as-json", action="store_true", help="print everything, as JSON")
        bench = actions.add_parser("bench", help="count steps per second of CPU time")
        bench.add_argument("games", nargs="*", metavar="GAME", help="default: all games")
        bench.add_argument("--num-envs", type=int, default=64, metavar="N")
        bench.add_argument("--seconds", type=float, default=1.0, metavar="S", help="for each game")
        bench.add_argument("--threads", type=int, default=1, metavar="N")
        bench.add_argument("--observation", default="rgb", help="rgb, rgb_chw, gray or none")
        play = actions.add_parser("play", help="play in a window, or play a file of actions")
        play.add_argument("game", metavar="GAME")
        play.add_argument("--level", type=int, default=0, metavar="SEED", help="the first level")
        play.add_argument("--actions", metavar="FILE", help="actions to take: numbers or names")
        play.add_argument("--save", metavar="FILE", help="write the actions that were taken")
        play.add_argument("--video", metavar="FILE", help="record .mp4, .webp or .gif")
        play.add_argument("--steps", type=int, default=10**6, metavar="N", help="so many at most")
        play.add_argument("--skin", default="builtin", metavar="DIR", help="folder of pictures")
        play.add_argument(
            "--context", action="append", default=[], metavar="NAME=VALUE",
            help="set a parameter, may be repeated",
        )  # fmt: skip
        for action, mode in ((contexts, "hard"), (bench, "easy"), (play, "easy")):
            action.add_argument("--mode", default=mode, metavar="MODE", help=MODES)

    def run(self, args: Namespace) -> int:
        """Do it and give the exit status."""
        with _told():
            return {"contexts": _contexts, "bench": _bench, "play": _play}[args.action](args)


@contextmanager
def _told() -> Iterator[None]:
    """Tell of wrong options, contexts, skins and files as every command does."""
    from genhub_cprocgen.errors import LevelGenerationError

    try:
        yield
    except GenHubError:
        raise
    except (ValueError, LevelGenerationError) as error:
        raise GenHubError("GH305", str(error)) from error
    except OSError as error:
        raise GenHubError("GH106", str(error)) from error


def _contexts(args: Namespace) -> int:
    from genhub_cprocgen.contexts import parameters_of, rules
    from genhub_cprocgen.listing import parameter_rows

    games = args.games or _with_mode(args.mode)
    for game in games:
        _check_mode(game, args.mode)
    found = [
        parameter
        for game in games
        for parameter in parameters_of(game).all
        if not args.find or args.find.lower() in f"{parameter.name} {parameter.meaning}".lower()
    ]
    if args.as_json:
        from dataclasses import asdict

        sys.stdout.write(
            json.dumps([asdict(each) for each in found], indent=1, default=dict) + "\n"
        )
        return 0
    if not found:
        raise GenHubError("GH201", f"no parameter has {args.find!r} in its name or meaning")
    sys.stdout.write("\n".join(parameter_rows(found, rules(args.mode))) + "\n")
    return 0


def _with_mode(mode: str) -> list[str]:
    """List the games of the engine that have a mode."""
    from genhub_cprocgen import games
    from genhub_cprocgen.contexts import parameters_of

    return [game for game in games() if mode in parameters_of(game).modes] or games()


def _check_mode(game: str, mode: str) -> None:
    from genhub_cprocgen.contexts import parameters_of

    modes = parameters_of(game).modes
    if mode not in modes:
        raise ValueError(f"{game} has no mode {mode!r}; its modes are {', '.join(modes)}")


def _bench(args: Namespace) -> int:
    from genhub_cprocgen.listing import aligned
    from genhub_cprocgen.speed import steps_per_cpu_second

    for name in ("num_envs", "seconds", "threads"):
        if getattr(args, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} must be above 0")
    rows = [["game", "steps per CPU second", "microseconds per step"]]
    options: dict[str, Any] = {
        "num_envs": args.num_envs,
        "num_threads": args.threads,
        "distribution_mode": args.mode,
        "observation": args.observation,
    }
    for game in args.games or _with_mode(args.mode):
        rate = steps_per_cpu_second(game, args.seconds, **options)
        rows.append([game, f"{rate:,.0f}", f"{1e6 / rate:.2f}"])
    sys.stdout.write("\n".join(aligned(rows, right={1, 2})) + "\n")
    return 0


def _play(args: Namespace) -> int:
    from genhub_cprocgen.play import Game, play_file, play_window

    if args.steps < 1:
        raise ValueError("--steps must be above 0")
    context = dict(_setting(text) for text in args.context)
    with Game(args.game, args.mode, args.level, args.skin, context, args.video) as game:
        if args.actions:
            taken = play_file(game, Path(args.actions), args.steps)
        else:
            taken = play_window(game, args.steps)
        sys.stdout.write(game.told())
    if args.save:
        Path(args.save).write_text("\n".join(map(str, taken)) + "\n", encoding="utf-8")
    return 0


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return name.strip(), json.loads(value)
    except ValueError:
        raise ValueError(
            f"--context is {text!r}; give NAME=VALUE with a number, true or false"
        ) from None
