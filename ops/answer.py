"""What hosts say, none of which is believed before it was looked at: whoever has taken one over says what he likes.

Text loses what moves a terminal's cursor or turns its words around, shapes are strict, and everything has a size.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ops.errors import OpsError

MAX_ANSWER_BYTES = 1 << 20  # of a command; a proxy's status has some hundred bytes per tenant and device
MAX_SHOWN = 500  # of what a command said that failed
NO_SENSE = "its answer makes no sense"
KEPT = "\n\t"
Shape = TypeVar("Shape")


def plain(text: str) -> str:
    """Without control characters (C0 but for line ends and tabs, C1), and what has no width or another direction."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one for one in text if one in KEPT or not unicodedata.category(one).startswith("C"))


def one_line(text: str, most: int = MAX_SHOWN) -> str:
    """Plain, and none that looks like several lines of ours; of a long one the end, which says what went wrong."""
    line = " ".join(plain(text).split())
    return line if len(line) <= most else f"…{line[-most:]}"


def _plain_line(text: str) -> str:
    return " ".join(plain(text).split())


class Told(BaseModel):
    """A part of an answer. What a later script says besides does not matter here."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


Name = Annotated[str, Field(strict=True, max_length=200), AfterValidator(_plain_line)]
Text = Annotated[str, Field(strict=True, max_length=4000), AfterValidator(_plain_line)]
Count = Annotated[int, Field(strict=True, ge=0, lt=1 << 64)]
Epoch = Annotated[float, Field(strict=True, ge=0, lt=1e11, allow_inf_nan=False)]  # seconds


def understood(shape: TypeAdapter[Shape], text: str) -> Shape:
    """JSON that a host printed. OpsError, in which no host is named, where that is something else."""
    return _or_no_sense(lambda: shape.validate_json(text))


def words_understood(shape: TypeAdapter[Shape], words: Sequence[str]) -> Shape:
    """The same of words, which are turned into numbers where the shape has some."""
    return _or_no_sense(lambda: shape.validate_python(words))


def _or_no_sense(read: Callable[[], Shape]) -> Shape:
    try:
        return read()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = one_line(f"{where}: {first['msg']}" if where else first["msg"])
    except (ValueError, RecursionError, OverflowError) as error:
        reason = one_line(str(error))
    raise OpsError(f"{NO_SENSE}: {reason}", hint="log in there and look")
