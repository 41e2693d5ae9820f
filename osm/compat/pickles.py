"""What a PyTorch file asks for, found out before torch opens it: which functions, and how much memory.

``torch.load(weights_only=True)`` runs no foreign code, but takes a file's word for sizes: a small file can make it
allocate a terabyte, or read beyond a record. Here the pickles of a file are gone through with stand-ins in place
of everything they name, so that nothing is called and nothing but their own bytes is held; what they claim is then
held against the size of the file.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, ClassVar

from osm.errors import WeightsError

#: Largest pickle that is read, in bytes: that of a detector has some ten thousand. As objects, it takes up to 64
#: times as much memory.
MOST_BYTES = 16 << 20
#: Bytes of a value, by the name of torch's class of storage.
_ITEM_BYTES = {
    "BoolStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "ShortStorage": 2,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "IntStorage": 4,
    "FloatStorage": 4,
    "LongStorage": 8,
    "DoubleStorage": 8,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
    "UntypedStorage": 1,
}
_STORAGES = {f"{package}.{name}" for name in _ITEM_BYTES for package in ("torch", "torch.storage")}
#: What makes an array of a shape, to be filled later from bytes that follow: empty, in every honest file.
_RECONSTRUCT = ("numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct")
_REBUILD_VIEW = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
#: What files of tensors and plain data ask for.
_HARMLESS = {
    *_REBUILD_VIEW,
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "torch.storage.TypedStorage",
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.set",
    "builtins.complex",
    "_codecs.encode",
    *(
        f"torch.{name}"
        for name in ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
    ),
}
#: Named as arguments of others, and not to be called themselves.
_NEVER_CALLED = ("torch.storage.TypedStorage", "numpy.ndarray")
_MAGIC = 0x1950A86A20F9469CFC6C  # of torch's format before zip
_ZIP = b"PK\x03\x04"
_ZIP_END, _END = b"PK\x05\x06", 22
_BLOCK = 1 << 20


class _Refused(Exception):
    """What a pickle asks for, in words."""


class _Thing:
    """Stands in for whatever a pickle names or makes; takes anything and does nothing."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> Any:
        if self.name in _STORAGES or self.name in _NEVER_CALLED:
            raise _Refused(f"it calls {self.name}, which could take any amount of memory")
        if self.name in _RECONSTRUCT and arguments[1:2] != ((0,),):
            raise _Claims(f"an array of shape {arguments[1:2]} made before its values")
        if self.name in _REBUILD_VIEW:
            _check_view(arguments)
        return _Made()

    def __hash__(self) -> int:
        return id(self)

    def __setstate__(self, state: Any) -> None:
        pass


class _Made(_Thing):
    """What a stand-in made: takes entries too."""

    def append(self, value: Any) -> None:
        """As of a list."""

    def extend(self, values: Any) -> None:
        """As of a list."""

    def add(self, value: Any) -> None:
        """As of a set."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class _Storage:
    """Values in a file.

    Attributes:
        key: Which.
        count: How many the pickle says there are.
        item_bytes: Bytes of one.
    """

    def __init__(self, key: str, count: int, item_bytes: int) -> None:
        self.key = key
        self.count = count
        self.item_bytes = item_bytes

    def __setstate__(self, state: Any) -> None:
        raise _Refused("it changes what it said of its values")


class _Reader(pickle._Unpickler):
    """Goes through a pickle. Python's own slow one: the fast one allocates for an index as large as a file claims."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, stream: IO[bytes], allowed: Collection[str]) -> None:
        super().__init__(stream, encoding="utf-8")
        self.allowed = allowed
        self.storages: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        # protocol 2 writes Python 2's name
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full not in self.allowed:
            raise _Refused(f"it asks for {full}, and running what it asks for could do anything")
        return _Thing(full)

    def get_extension(self, code: int) -> Any:
        raise _Refused(f"it asks for extension {code}")

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Thing):
            raise _Refused("it names values in a way of its own")
        item = _ITEM_BYTES.get(pid[1].name.rpartition(".")[2])
        key, count = pid[2], pid[4]
        if item is None or not isinstance(key, str) or type(count) is not int or count < 0:
            raise _Refused(f"it names values of no known type ({pid[1].name})")
        self.storages[key] = max(self.storages.get(key, 0), count * item)
        return _Storage(key, count, item)


def _make(reader: Any) -> None:
    """The opcode that makes an object of a class: the class is a stand-in, and so is the object."""
    arguments = reader.stack.pop()
    reader.append(reader.stack.pop()(*arguments))


_Reader.dispatch[pickle.NEWOBJ[0]] = _make


def check_pickles(path: str | Path, *, more: Collection[str] = (), most_bytes: int = MOST_BYTES) -> None:
    """Make sure that a PyTorch file holds tensors and plain data, as many as it claims, and that a zip is undamaged.

    Args:
        path: The file: a zip as written since PyTorch 1.6, or the format before it.
        more: Names (``module.name``) that may be asked for beside tensors and plain data.
        most_bytes: Largest pickle in it.

    Raises:
        WeightsError: It asks for something else, claims more values than it has, or is damaged.
    """
    size = Path(path).stat().st_size
    allowed = {*_HARMLESS, *_STORAGES, *more}
    try:
        with Path(path).open("rb") as stream:
            is_zip = stream.read(4) == _ZIP
            stream.seek(0)
            if is_zip:
                _check_zip(stream, size, allowed, most_bytes)
            else:
                _check_legacy(stream, size, allowed, most_bytes)
    except _Refused as error:
        raise WeightsError(
            path,
            found=f"a pickle that is damaged or holds more than tensors: {error}",
            expected="tensors and plain data, which are read without running code (a pickle can run code)",
            mend="take it from another source, or load it where you trust it and save only its state_dict()",
        ) from error
    except (_Claims, MemoryError) as error:
        raise WeightsError(
            path, found=str(error), expected="as many values as it claims", mend="copy or download the file again"
        ) from error
    # whatever a broken pickle makes of Python's reader, down to a stack too deep or an index that is not there
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise WeightsError(
            path,
            found=f"a broken file ({reason})",
            expected="tensors as PyTorch writes them",
            mend="copy, download or write it again",
        ) from error


class _Claims(Exception):
    """More is claimed than there is, in words."""


def _check_zip(stream: IO[bytes], size: int, allowed: Collection[str], most_bytes: int) -> None:
    stream.seek(max(0, size - _END))
    if not stream.read(4) == _ZIP_END:
        # what follows the end could be the end of another zip, which another reader would find
        raise ValueError("no end of a zip where the file ends")
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise _Claims(f"a compressed entry {entry.filename}, which PyTorch never writes")
        total = sum(entry.file_size for entry in entries)
        if total > size:
            raise _Claims(f"entries of {total:,} bytes in a file of {size:,}")
        names = [entry.filename for entry in entries]
        if len(set(names)) < len(names):
            raise _Claims("two entries of one name")
        pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
        if len(pickles) != 1:
            raise _Claims(f"{len(pickles)} entries data.pkl in a zip")
        if pickles[0].file_size > most_bytes:
            raise _Claims(f"a pickle of {pickles[0].file_size:,} bytes")
        folder = pickles[0].filename.removesuffix("data.pkl")
        reader = _Reader(io.BytesIO(archive.read(pickles[0])), allowed)
        reader.load()
        there = {entry.filename: entry.file_size for entry in entries}
        for key, needed in reader.storages.items():
            found = there.get(f"{folder}data/{key}", -1)
            if found < needed:
                raise _Claims(f"values {key} of {needed:,} bytes where it has {max(found, 0):,}")
        # torch does not look at the checksums of what it reads
        for entry in entries:
            with archive.open(entry) as content:
                while content.read(_BLOCK):
                    pass


def _check_legacy(stream: IO[bytes], size: int, allowed: Collection[str], most_bytes: int) -> None:
    if size == 0:
        raise ValueError("an empty file")
    # the values follow the pickles; a reader that hands out no more than there is cannot be made to allocate more
    source = io.BytesIO(stream.read(most_bytes))
    if _Reader(source, allowed).load() != _MAGIC:
        raise ValueError("no PyTorch file")
    _Reader(source, allowed).load()
    _Reader(source, allowed).load()
    content = _Reader(source, allowed)
    content.load()
    _Reader(source, allowed).load()
    left = size - source.tell()
    needed = sum(content.storages.values())
    if needed > left:
        raise _Claims(f"values of {needed:,} bytes where it has {left:,}")


def _check_view(arguments: tuple[Any, ...]) -> None:
    """Make sure that a tensor shows values that are there, each once at most."""
    storage, offset, shape, stride = arguments[:4]
    if not isinstance(storage, _Storage):
        raise _Refused("it makes a tensor of something else than values")
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or any(type(number) is not int or number < 0 for number in numbers):
        raise _Claims(f"a tensor of shape {shape} and stride {stride}")
    count = math.prod(shape)
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True)) if count else 0
    if count > storage.count or (count and last >= storage.count):
        raise _Claims(f"a tensor of shape {'x'.join(map(str, shape))} over {storage.count:,} values")
