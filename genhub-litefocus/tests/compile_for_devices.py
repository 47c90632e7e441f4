"""Compile the Triton kernel for GPUs that need not be here, and print what became of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from genhub_litefocus.kernels.tiles import tiling
from genhub_litefocus.kernels.triton_rows import _focus_kernel

# The most that a block may share, in bytes.
MEMORY = {80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024}
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
POINTERS = ("q", "k", "v", "out", "shared")


def compiled(capability: int, dtype: str, dim: int, **modes: bool) -> dict[str, Any]:
    """Compile as a launch would on projections of the usual strides."""
    tiles = tiling(TYPES[dtype], dim, 1024, MEMORY[capability])
    plain = {"SAME": True, "UNION": False, "ROWS_FAST": True, "WINDOWED": False, "RAGGED": False}
    plain["FREQ_BINS"] = 8
    constants: dict[str, Any] = {
        **{"HEAD_DIM": dim, "PADDED": triton.next_power_of_2(dim), **plain, **modes},
        **{"QUERIES": tiles.queries, "KEYS": tiles.keys, "PRECISION": tiles.precision},
    }
    names = _focus_kernel.arg_names
    strides = [name for name in names if "_" in name and name not in constants]
    constants |= {name: 1 for name in strides if name.endswith("_dim")}
    signature = {name: "i32" for name in names} | {name: f"*{dtype}" for name in POINTERS}
    signature |= {"shared": "*i64", "factor": "fp32"} | dict.fromkeys(constants, "constexpr")
    aligned = [name for name in (*POINTERS, *strides) if name not in constants]
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(_focus_kernel, signature, constants, attributes)
    options = {"num_warps": tiles.warps, "num_stages": tiles.stages}
    kernel = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    return {
        "name": f"sm_{capability}-{dtype}-{dim}" + "".join(f"-{mode.lower()}" for mode in modes),
        "shared memory": kernel.metadata.shared,
        "allowed memory": MEMORY[capability],
        "spilled": spilled(kernel.asm["cubin"]),
        "slow divisions": len(re.findall(r"\b(?:rem|div)\.[su]64", kernel.asm["ptx"])),
        "tensor cores": "mma" in kernel.asm["ptx"],
        "asynchronous copies": "cp.async" in kernel.asm["ptx"],
        "code": len(kernel.asm["cubin"]),
    }


def spilled(binary: bytes) -> int:
    """Give the bytes of a thread that found no register."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        command = [str(tool), "--dump-resource-usage", file.name]
        usage = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sum(int(found) for found in re.findall(r"\b(?:STACK|LOCAL):(\d+)", usage))


if __name__ == "__main__":
    everything = {"UNION": True, "WINDOWED": True, "RAGGED": True}
    found = [
        compiled(90, "bf16", 32),
        compiled(90, "bf16", 64, UNION=True),
        compiled(80, "fp16", 32, **everything),
        compiled(86, "bf16", 128),
        compiled(90, "fp32", 24, ROWS_FAST=False),
    ]
    json.dump(found, sys.stdout)
