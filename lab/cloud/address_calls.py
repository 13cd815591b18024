"""The calls about secondary private addresses: how an address moves from host to host."""

from __future__ import annotations

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response

from lab.cloud.errors import ec2_error, invalid_value, missing
from lab.cloud.instance_limits import limits_of
from lab.cloud.interface import Interface
from lab.cloud.interfaces import changeable, interface
from lab.cloud.private_addresses import choose, holders, require_usable
from lab.cloud.shown import Shown


class AddressResponses(EC2Response):
    """AssignPrivateIpAddresses and UnassignPrivateIpAddresses."""

    def assign_private_ip_addresses(self) -> ActionResult:
        """Add secondary addresses: named ones, maybe taken from another interface, or new ones."""
        eni = changeable(interface(self.ec2_backend, self._get_param("NetworkInterfaceId", "")))
        named = self._get_param("PrivateIpAddresses", [])
        count = self._get_int_param("SecondaryPrivateIpAddressCount", 0)
        if not named and not count:
            raise missing("PrivateIpAddresses or SecondaryPrivateIpAddressCount")
        if len(set(named)) != len(named):
            raise invalid_value("The same private IP address must not appear multiple times")
        may_move = bool(self._get_bool_param("AllowReassignment", False))
        for address in named:
            assign(self.ec2_backend, eni, address, may_move=may_move)
        chosen = choose(self.ec2_backend, eni.subnet, count)
        for address in chosen:
            _add(eni, address)
        if eni.instance is not None:
            limits_of(eni.instance.instance_type).require_addresses(len(eni.addresses))
        assigned = [{"PrivateIpAddress": address} for address in (*named, *chosen)]
        return Shown({"NetworkInterfaceId": eni.id, "AssignedPrivateIpAddresses": assigned})

    def unassign_private_ip_addresses(self) -> ActionResult:
        """Take secondary addresses away; an elastic address that stands for one is free again."""
        eni = changeable(interface(self.ec2_backend, self._get_param("NetworkInterfaceId", "")))
        named = self._get_param("PrivateIpAddresses", [])
        for address in named:
            if address == eni.private_ip_address:
                raise invalid_value(f"{address} is the primary address of {eni.id} and cannot be unassigned.")
            if address not in eni.addresses:
                raise invalid_value(f"Some of [{', '.join(named)}] are not assigned to interface {eni.id}")
            if elastic := eni.elastic_ips.get(address):
                elastic.eni = elastic.association_id = elastic.private = None
            _remove(eni, address)
        return EmptyResult()


def assign(backend: EC2Backend, eni: Interface, address: str, *, may_move: bool) -> None:
    """Give an interface a secondary address. The last claim wins, but nobody's primary address ever moves."""
    require_usable(eni.subnet, address)
    holder = holders(backend, eni.subnet_id).get(address)
    if holder is eni and address != eni.private_ip_address:
        return
    if not isinstance(holder, Interface):
        _add(eni, address)
        return
    if address == holder.private_ip_address:
        raise ec2_error("InvalidIPAddress.InUse", f"{address} is the primary address of {holder.id}.")
    if not may_move:
        raise ec2_error("InvalidIPAddress.InUse", f"[{address}] assigned, but move is not allowed.")
    elastic = holder.elastic_ips.get(address)
    _remove(holder, address)
    _add(eni, address)
    if elastic is not None:  # it goes where its private address goes
        elastic.eni = eni


def _add(eni: Interface, address: str) -> None:
    eni.private_ip_addresses.append({"PrivateIpAddress": address, "Primary": False})


def _remove(eni: Interface, address: str) -> None:
    eni.private_ip_addresses[:] = [i for i in eni.private_ip_addresses if i["PrivateIpAddress"] != address]
