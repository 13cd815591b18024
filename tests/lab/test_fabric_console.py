"""The operator's way in beside the tap: past the groups, and nothing that a guest could use the other way."""

from __future__ import annotations

import socket

import pytest

from lab.errors import LabError
from lab.fabric import IMDS_ADDRESS, Fabric
from lab.world import World
from tests.lab.guests import Guest, line
from tests.lab.isolation import isolated
from tests.lab.worlds import change, with_eni, with_vpc


def closed() -> World:
    """An ENI that no group opens, in a VPC without internet."""
    return change(with_eni(with_vpc(World(), "v", internet=False), "a", "v", "10.0.1.11"), "a", group_ids=())


@isolated
def test_the_operator_reaches_a_guest_that_no_group_opens() -> None:
    fabric = Fabric()
    fabric.apply(closed())
    Guest(fabric, closed(), "eni-a").serve(22)
    connection = fabric.connect("eni-a", 22, timeout_s=5)
    assert line(connection) == str(IMDS_ADDRESS)
    connection.sendall(b"login")
    assert connection.recv(9) == b"login"


@isolated
def test_a_guest_cannot_open_that_way_itself() -> None:
    fabric = Fabric()
    fabric.apply(closed())
    guest = Guest(fabric, closed(), "eni-a")
    listener = fabric.imds_listener("eni-a")
    console = guest.open_socket(socket.SOCK_STREAM)
    console.settimeout(0.5)
    with pytest.raises(TimeoutError):  # neither accepted nor refused: dropped
        console.connect((str(IMDS_ADDRESS), 22))
    guest.connect(str(IMDS_ADDRESS), 80).close()
    listener.close()


@isolated
def test_an_eni_that_is_not_there_has_no_console() -> None:
    fabric = Fabric()
    fabric.apply(closed())
    with pytest.raises(LabError, match="eni-nobody"):
        fabric.connect("eni-nobody", 22, timeout_s=1)
