"""PAC's stages in one file: what is read back goes on as if it had never been away."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pacpde.errors import DataFileError, InvalidValueError, OutputError
from pacpde.interop.modules import PAC, freeze, unfreeze
from pacpde.interop.modules.storing import FILE
from pacpde.networks.sealed import checksum
from tests.interop.test_modules import made, same, state, train


def staged(network: str) -> tuple[PAC, Any, torch.Tensor]:
    source, x = made(network)
    pac = PAC(train(source, x), x)
    pac.prune(0.5, scope="tensor")
    allocated = train(pac.allocate(), x)
    train(pac.calibrate(strength=0.1), x, penalty=pac.penalty)
    return pac, allocated, x


@pytest.mark.parametrize("network", ["residual", "convolutional", "recurrent"])
def test_stages_are_read_back_to_the_last_bit(network: str, tmp_path: Path) -> None:
    pac, allocated, x = staged(network)
    place = tmp_path / "new" / "stages.safetensors"
    pac.save(place)
    torch.manual_seed(5)
    again = PAC.load(place, made(network)[0])
    assert all(torch.equal(own, pac.mask[name]) for name, own in again.mask.items())
    for one, other in (
        (again.allocated, allocated), (again.calibrated, pac.calibrated),
        (again.recall(), pac.recall()), (again.source, pac.source),
    ):  # fmt: skip
        assert one is not None and other is not None
        assert same(state(one), state(other))
        assert torch.equal(one.eval()(x), other.eval()(x))
        assert [p.shape for p in one.parameters()] == [p.shape for p in other.parameters()]
    assert float(again.penalty().detach()) == float(pac.penalty().detach()) > 0
    seen = allocated.eval()(x)
    assert again.calibrated is not None and pac.calibrated is not None
    torch.manual_seed(1)
    train(again.calibrated, x, "AdamW", penalty=again.penalty)
    torch.manual_seed(1)
    train(pac.calibrated, x, "AdamW", penalty=pac.penalty)
    assert same(state(again.calibrated), state(pac.calibrated))
    assert torch.equal(again.recall().eval()(x), seen)
    with pytest.raises(InvalidValueError, match="allocated already"):
        again.allocate()
    pac.save(place)  # replaces its own


def test_every_stage_is_stored(tmp_path: Path) -> None:
    source, x = made("residual")
    place = tmp_path / "stages"
    pac = PAC(source)  # without an example
    pac.save(place)
    pac = PAC.load(place, source)
    pac.prune(0.5)
    pac.save(place)
    pac = PAC.load(place, source)
    allocated = train(pac.allocate(), x)
    pac.save(place)
    pac = PAC.load(place, source)
    assert pac.calibrated is None
    assert torch.equal(pac.recall().eval()(x), allocated(x))
    train(pac.calibrate(), x)
    assert torch.equal(pac.recall().eval()(x), allocated(x))


def test_files_of_others_are_neither_read_nor_replaced(tmp_path: Path) -> None:
    pac, _, _ = staged("residual")
    place, own = tmp_path / "mine.txt", tmp_path / "stages"
    place.write_text("mine")
    with pytest.raises(OutputError, match="will not be replaced"):
        pac.save(place)
    assert place.read_text() == "mine"
    pac.save(own)
    module = made("residual")[0]
    with pytest.raises(DataFileError, match="there is no file"):
        PAC.load(tmp_path / "absent", module)
    with pytest.raises(DataFileError, match="is no file of PAC's stages"):
        PAC.load(place, module)
    stored = own.read_bytes()
    for damaged, why in (
        (stored[:-9], "no file|damaged"),
        (stored[:-1] + bytes([stored[-1] ^ 1]), "damaged"),
        (stored.replace(b'\\"strength\\": 0.1', b'\\"strength\\": 0.2'), "damaged"),
        (stored.replace(b'\\"schema\\": 1', b'\\"schema\\": 7'), "of schema 7"),
    ):
        assert damaged != stored
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(DataFileError, match=why):
            PAC.load(tmp_path / "damaged", module)
    with pytest.raises(DataFileError, match=r"of another module.*blocks\.0\.bias"):
        PAC.load(own, made("recurrent")[0])
    with pytest.raises(DataFileError, match=r"differ in name, shape or precision"):
        PAC.load(own, made("residual")[0].float())
    header = json.loads(stored[8 : 8 + int.from_bytes(stored[:8], "little")])
    assert json.loads(header["__metadata__"]["pacpde"])["strength"] == 0.1


OTHER = r"holds other parts than this pacpde writes"


@pytest.mark.parametrize(
    ("about", "tensors", "why"),
    [
        ({"stages": ["allocated"]}, {}, OTHER),
        ({"stages": 7}, {}, OTHER),
        ({"tuple": None}, {}, OTHER),
        ({"strength": 10**400}, {}, OTHER),
        ({"strength": -1.0}, {}, OTHER),
        ({}, {"inputs/zero": torch.zeros(3)}, OTHER),
        ({}, {"source/outputs/2": torch.zeros(3)}, OTHER),
        ({}, {"source/outputs/1": torch.zeros(3)}, "gives 1 tensors, and gave 2"),
        ({}, {"mask/last.bias": torch.zeros(2)}, f"{OTHER}, in its mask"),
        ({}, {"mask/other": torch.zeros(2, dtype=torch.bool)}, f"{OTHER}, in its mask"),
    ],
)
def test_sealed_nonsense_is_refused(tmp_path: Path, about: Any, tensors: Any, why: str) -> None:
    pac, _, _ = staged("residual")
    pac.save(tmp_path / "stages")
    own_about, own_tensors = FILE.read(tmp_path / "stages")
    del own_about["checksum"]
    FILE.write(tmp_path / "stages", own_about | about, own_tensors | tensors)
    with pytest.raises(DataFileError, match=why):
        PAC.load(tmp_path / "stages", made("residual")[0])


def test_tensors_of_a_whole_file_that_cannot_be_read(tmp_path: Path) -> None:
    place = tmp_path / "stages"
    PAC(made("residual")[0]).save(place)
    stored = place.read_bytes()
    size = int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8 : 8 + size])
    about = json.loads(header.pop("__metadata__")["pacpde"])
    header["source/weights/last.bias"]["data_offsets"][1] += 8
    about["checksum"] = checksum(
        about, json.dumps(header, sort_keys=True).encode() + stored[8 + size :]
    )
    text = json.dumps({"__metadata__": {"pacpde": json.dumps(about)}, **header}).encode()
    place.write_bytes(len(text).to_bytes(8, "little") + text + stored[8 + size :])
    with pytest.raises(DataFileError, match="is whole, but its tensors cannot be read"):
        PAC.load(place, made("residual")[0])
    deep = b'{"__metadata__": ' + b"[" * 100_000
    place.write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(DataFileError, match="is no file of PAC's stages"):
        PAC.load(place, made("residual")[0])


def test_a_class_that_gives_something_else_is_refused(tmp_path: Path) -> None:
    number = {"size": 1.0}

    class Reading(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return number["size"] * super().forward(x)

    def network() -> nn.Module:
        return Reading(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    x = torch.rand(20, 4)
    pac = PAC(network(), x)
    pac.save(tmp_path / "stages")
    number["size"] = 1.1
    with pytest.raises(DataFileError, match="does not give what it gave when it was saved"):
        PAC.load(tmp_path / "stages", network())
    number["size"] = 1.0
    PAC.load(tmp_path / "stages", freeze(network(), "0"))


def test_a_new_process_recalls_the_source(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x = torch.linspace(0, 1, 12, dtype=torch.float64).reshape(3, 4)
    pac = PAC(network, x)
    pac.prune(0.5, scope="tensor")
    allocated = train(pac.allocate(), x)
    train(pac.calibrate(), x)
    pac.save(tmp_path / "stages")
    code = f"""
import torch
from torch import nn
from pacpde.interop.modules import PAC
network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
x = torch.linspace(0, 1, 12, dtype=torch.float64).reshape(3, 4)
recalled = PAC.load({str(tmp_path / "stages")!r}, network).recall()
print([own.hex() for own in recalled(x).flatten().tolist()])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    expected = [own.hex() for own in unfreeze(allocated)(x).flatten().tolist()]
    assert done.stdout.strip() == str(expected), done.stderr
