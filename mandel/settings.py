"""One frozen Settings, read from options and environment, passed down; no globals.

Every field is an option ``--field-name`` and a variable ``MANDEL_FIELD_NAME``;
an option wins over the variable, the variable over the default.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from mandel.errors import MandelError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Table = TypeVar("Table", bound="DataclassInstance")


def _option(default: T, text: str, least: float | None = None, most: float = math.inf) -> T:
    return field(default=default, metadata={"help": text, "least": least, "most": most})


@dataclass(frozen=True)
class PayloadLimits:
    """The most that a payload may ask for. All are inclusive."""

    max_frames: int = _option(100_000, "frames in one job", 1)
    max_side: int = _option(
        16_384, "pixels along one side of a frame", 2, 16_384
    )  # kernels number bytes by int32
    max_maxiter: int = _option(2_000_000_000, "iterations of one sample", 1)
    max_fps: int = _option(240, "frames per second", 1)
    max_depth: int = _option(20_000, "deepest delta is 1e-DEPTH", 0)
    max_pixels: int = _option(500_000_000_000, "pixels of a whole job, supersampling counted", 1)
    max_request_bytes: int = _option(65_536, "bytes of one request", 2)


@dataclass(frozen=True)
class Settings:
    """How the service runs (what it may be asked is ``limits``)."""

    host: str = _option("127.0.0.1", "address the service listens on")
    port: int = _option(65_432, "TCP port the service listens on", 0, 65_535)
    web_port: int = _option(
        65_433, "TCP port of the web page, at the same address as the service; 0: no page", 0, 65_535
    )
    web_name: str = _option(
        "",
        "names by which browsers reach this host, with commas between; localhost, IP addresses and the host's own name "
        "need not be told",
    )
    db: str = _option("DB", "folder where sequences are stored")
    address: str = _option(
        "auto",
        "Ray cluster HOST:PORT; auto joins a running one or starts Ray here; local always starts; embedded renders "
        "in processes of this machine, without Ray",
    )
    device: str = _option("auto", "OpenCL device: auto, gpu, cpu, index, part of a name, or UUID")
    max_connections: int = _option(1_024, "connections served at once; more are answered BUSY", 1)
    max_jobs: int = _option(4_000, "unfinished jobs kept at once; requests for more are answered BUSY", 1)
    max_jobs_per_client: int = _option(1_000, "unfinished jobs kept for one client", 1)
    request_timeout: float = _option(30.0, "seconds in which a whole request must have arrived", 0)
    stall_timeout: float = _option(60.0, "seconds without a byte taken after which a reader is dropped", 0)
    drain_timeout: float = _option(
        12.0, "seconds in which the renderer may hand over what it has finished when the service stops", 0
    )
    driver_timeout: float = _option(
        20.0,
        "seconds without a sign of life after which a renderer that was ready counts as hung and is replaced; "
        "there is one every 2 s",
        3,
    )
    max_db_bytes: int = _option(
        0,
        "bytes that DB/ may take, everything in it counted; beyond, jobs that ended are evicted, the longest unused "
        "first; 0: by --max-db-share",
        0,
    )
    max_db_share: float = _option(
        0.8,
        "where --max-db-bytes is 0: the share that DB/ may take of what it has and what is free on its disk when "
        "the service starts; 1: all of it",
        0.01,
        1,
    )
    max_ended_jobs: int = _option(
        10_000, "ended jobs kept; beyond, the longest unused are evicted, those without a video first", 1
    )
    token_file: str = _option(
        "",
        "file with the token that clients must send; the service makes it if it is missing. Beyond loopback it "
        "always wants one, by default that of ~/.mandel/token",
    )
    tls_cert: str = _option("", "PEM file with the service's certificate; the port then speaks TLS only")
    tls_key: str = _option("", "PEM file with the certificate's key, if that is another file")
    tls_ca: str = _option("", "PEM file with the certificates that a client trusts; it then speaks TLS")
    limits: PayloadLimits = field(default_factory=PayloadLimits)


# What a variable of this type must hold, in words.
_WORDS = {int: "a whole number", float: "a number", str: "text"}


def add_options(
    parser: argparse._ActionsContainer,
    cls: type[DataclassInstance] = Settings,
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> None:
    """Adds one option per field of ``cls``: those of ``only`` if any are named, none of ``without``."""
    for f in fields(cls):
        if "help" not in f.metadata or (only and f.name not in only) or f.name in without:
            continue
        default = "" if f.default == "" else f"default {f.default}; "
        parser.add_argument(
            "--" + f.name.replace("_", "-"),
            type=type(f.default),
            default=None,
            metavar=f.name.upper().rsplit("_")[-1],
            help=f"{f.metadata['help']} ({default}MANDEL_{f.name.upper()})",
        )


def _read(cls: type[Table], options: Mapping[str, Any], env: Mapping[str, str], **extra: object) -> Table:
    values = dict(extra)
    for f in fields(cls):
        if "help" not in f.metadata:
            continue
        kind: type[Any] = type(f.default)
        if options.get(f.name) is not None:
            values[f.name] = options[f.name]
        elif (text := env.get("MANDEL_" + f.name.upper())) is not None:
            try:
                values[f.name] = kind(text)
            except ValueError:
                raise MandelError(
                    "BAD_SETTING",
                    f"MANDEL_{f.name.upper()}={text!r} is not {_WORDS[kind]}; the default is {f.default}",
                    field=f.name,
                ) from None
        _check(f, values.get(f.name, f.default))
    return cls(**values)


def _check(f: Field[Any], value: Any) -> None:
    """Raises BAD_SETTING for a number that is none, or beyond the field's least or most."""
    least, most = f.metadata["least"], f.metadata["most"]
    if least is not None and not (least <= value <= most and math.isfinite(value)):
        allowed = f"of {least} or more" if most == math.inf else f"from {least} to {most}"
        raise MandelError(
            "BAD_SETTING",
            f"--{f.name.replace('_', '-')} (MANDEL_{f.name.upper()}) cannot be {value}; it is a "
            f"number {allowed}, by default {f.default}",
            field=f.name,
        )


def read(options: argparse.Namespace | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """Settings from parsed options and environment.

    Raises:
        MandelError: BAD_SETTING when a variable's text is not of its type, a number cannot be meant, or a key
            has no certificate.
    """
    given = vars(options) if options is not None else {}
    found = _read(Settings, given, env, limits=_read(PayloadLimits, given, env))
    if found.tls_key and not found.tls_cert:
        raise MandelError(
            "BAD_SETTING",
            "--tls-key (MANDEL_TLS_KEY) is of no use alone; name its certificate with --tls-cert too",
            field="tls_key",
        )
    return found
