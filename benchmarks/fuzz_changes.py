"""Changes to files, at random: of bytes, of the structure of JSON, and of what a checksum seals."""

import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pacpde.networks.sealed import checksum

WORDS = (
    b"nan", b"inf", b"-inf", b"1e999", b"-0", b"0x10", b"1e-400", b"9" * 400, b"\xff\xfe", b"\x00",
    b"\xef\xbb\xbf", b"\r", b"\n\n", b";", b",", b"\t", b'"', b"'", b"#", b"../", b"[", b"]", b"{",
    b"}", b"null", b"true", b"e", b"pi", b"**", b"(" * 60, "٣".encode(), "ν".encode(), b"=",
    b"'''",
)  # fmt: skip
EXTREME: tuple[Any, ...] = (
    None, True, "", "x" * 5000, "../../etc", -1, 0, 1, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324,
    float("nan"), float("inf"), [], {}, [[]], {"": None}, [1, "a"], "nan",
)  # fmt: skip
DTYPES = (torch.float16, torch.float32, torch.int64, torch.uint8, torch.bool)
Draw = np.random.Generator


def changed(content: bytes, rng: Draw, others: list[bytes]) -> bytes:
    """Bytes with one to four changes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        size = len(data)
        at = int(rng.integers(0, size + 1))
        end = min(size, at + int(2 ** rng.uniform(0, 8)))
        kind = int(rng.integers(0, 8))
        if kind == 0 and size:
            data[min(at, size - 1)] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1 and size:
            data[min(at, size - 1)] = int(rng.integers(0, 256))
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end] * int(rng.integers(1, 4))
        elif kind == 4:
            data[at:at] = WORDS[int(rng.integers(0, len(WORDS)))]
        elif kind == 5:
            data[at:end] = WORDS[int(rng.integers(0, len(WORDS)))]
        elif kind == 6:
            other = others[int(rng.integers(0, len(others)))]
            start = int(rng.integers(0, len(other) + 1))
            data[at:end] = other[start : start + int(2 ** rng.uniform(0, 8))]
        else:
            del data[at:]
    return bytes(data)


def changed_structure(value: Any, rng: Draw) -> Any:
    """A JSON value with one part replaced, left out or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = list(value)[int(rng.integers(0, len(value)))]
        if rng.random() < 0.1:
            return {name: own for name, own in value.items() if name != key}
        return {**value, key: changed_structure(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = int(rng.integers(0, len(value)))
        if rng.random() < 0.15:
            return [*value[:at], *value[at + 1 :]]
        if rng.random() < 0.15:
            return [*value, value[at]]
        return [*value[:at], changed_structure(value[at], rng), *value[at + 1 :]]
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and rng.random() < 0.4
    ):
        return value * float(rng.choice([-1, 0, 1e3, 1e-3, 1e300])) + float(rng.choice([0, 1, 0.5]))
    return EXTREME[int(rng.integers(0, len(EXTREME)))]


def bytes_of(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change a file, or one file of a folder."""
    file = path
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        file = inside[int(rng.integers(0, len(inside)))]
    file.write_bytes(changed(file.read_bytes(), rng, others))


def sealed(about: str, tensors: str) -> Callable[[Path, Draw, list[bytes]], None]:
    """Change the JSON of a folder, and seal it again."""

    def change(path: Path, rng: Draw, others: list[bytes]) -> None:
        content = json.loads((path / about).read_text(encoding="utf-8"))
        seal = content.pop("checksum")
        for _ in range(int(rng.integers(1, 3))):
            content = changed_structure(content, rng)
        if isinstance(content, dict):
            with suppress(ValueError, OverflowError):
                content = json.loads(json.dumps(content))
            seal = checksum(content, (path / tensors).read_bytes())
            content = {"checksum": seal, **content}
        (path / about).write_text(json.dumps(content), encoding="utf-8")

    return change


def sealed_tensors(about: str, tensors: str) -> Callable[[Path, Draw, list[bytes]], None]:
    """Change the tensors of a folder, and seal it again."""

    def change(path: Path, rng: Draw, others: list[bytes]) -> None:
        content = json.loads((path / about).read_text(encoding="utf-8"))
        stored = tensors_changed((path / tensors).read_bytes(), rng)
        content["checksum"] = checksum(content, stored)
        (path / tensors).write_bytes(stored)
        (path / about).write_text(json.dumps(content), encoding="utf-8")

    return change


def sealed_file(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change the JSON or the tensors of a file that holds both, and seal it again."""
    stored = path.read_bytes()
    about = json.loads(header_of(stored)["__metadata__"]["pacpde"])
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 3))):
            about = changed_structure(about, rng)
    else:
        stored = tensors_changed(stored, rng)
    header, size = header_of(stored), int.from_bytes(stored[:8], "little")
    header.pop("__metadata__", None)
    data = stored[8 + size :]
    if isinstance(about, dict):
        text = json.dumps(header, sort_keys=True).encode()
        about["checksum"] = checksum(about, text + data)
    whole = json.dumps({"__metadata__": {"pacpde": json.dumps(about)}, **header}).encode()
    path.write_bytes(len(whole).to_bytes(8, "little") + whole + data)


def header_of(stored: bytes) -> dict[str, Any]:
    """The JSON header of a file of tensors."""
    return dict(json.loads(stored[8 : 8 + int.from_bytes(stored[:8], "little")]))


def tensors_changed(stored: bytes, rng: Draw) -> bytes:
    """A file of tensors with one of them changed, or with another header."""
    if rng.random() < 0.2:
        header, size = header_of(stored), int.from_bytes(stored[:8], "little")
        again = changed_structure(header, rng)
        text = json.dumps(again if isinstance(again, dict) else header).encode()
        return len(text).to_bytes(8, "little") + text + stored[8 + size :]
    return save_tensors(changed_values(load_tensors(stored), rng))


def changed_values(tensors: Mapping[str, torch.Tensor], rng: Draw) -> dict[str, torch.Tensor]:
    """Tensors with one of them left out, renamed or replaced."""
    found = dict(tensors)
    names = list(found)
    name, other = (names[int(rng.integers(0, len(names)))] for _ in range(2))
    value, kind = found.pop(name), int(rng.integers(0, 8))
    if kind == 1:
        found[name + str(other)] = value
    elif kind == 2:
        found[name] = tensors[other].clone()
    elif kind == 3:
        found[name] = value.to(DTYPES[int(rng.integers(0, len(DTYPES)))])
    elif kind == 4:
        found[name] = torch.full_like(value, [0, 1, -1][int(rng.integers(0, 3))])
    elif kind == 5 and value.is_floating_point():
        extreme = torch.tensor(float(rng.choice([np.nan, np.inf, 1e300, 5e-324])))
        found[name] = extreme.to(value.dtype).expand(value.shape).clone()
    elif kind == 6:
        found[name] = value.flatten()[: int(rng.integers(0, value.numel() + 1))].clone()
    elif kind == 7:
        found[name] = value[None].clone()
    return found


def structure(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change JSON by its structure, or as bytes."""
    if rng.random() < 0.3:
        bytes_of(path, rng, others)
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    for _ in range(int(rng.integers(1, 4))):
        content = changed_structure(content, rng)
    path.write_text(json.dumps(content), encoding="utf-8")


def packed(path: Path, rng: Draw, others: list[bytes]) -> None:
    """Change the arrays within a .npz, and pack them again with right checksums."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[int(rng.integers(0, len(members)))]
    content = members[name]
    if rng.random() < 0.5:  # the header, which says type and shape
        members[name] = changed(content[:128], rng, others) + content[128:]
    else:
        members[name] = changed(content, rng, list(members.values()))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        for key, value in members.items():
            archive.writestr(key, value)
