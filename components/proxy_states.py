"""What a proxy is told: plain where it can be, so that a preview shows it, else once AWS has said its part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.host import Host
from components.host_config import State
from components.host_scripts import Concern, digest_of
from components.host_state import (
    forward_state,
    input_state,
    nat_state,
    packages_state,
    pair_state,
    sync_state,
    tunnel_state,
    user_eni_state,
)
from components.plan import Plan
from components.user_eni import UserEni
from components.validation.pair import PLATFORM

States = dict[Concern, State | pulumi.Output[State]]


@dataclass(frozen=True)
class ProxyInterfaces:
    """A proxy's interfaces: the host's own, and its user ENIs by tenant."""

    proxy: Host
    user_enis: Mapping[str, UserEni]

    @property
    def macs(self) -> pulumi.Output[dict[str, str]]:
        """Of the user ENIs, by tenant."""
        return pulumi.Output.all(**{name: eni.mac_address for name, eni in self.user_enis.items()})

    @property
    def ids(self) -> pulumi.Output[dict[str, str]]:
        """Of the user ENIs, by tenant."""
        return pulumi.Output.all(**{name: eni.eni_id for name, eni in self.user_enis.items()})

    @property
    def arns(self) -> dict[str, pulumi.Output[str]]:
        """Of every interface, by tenant; the host's own is the platform's."""
        instance = self.proxy.instance
        # arn:PARTITION:ec2:REGION:ACCOUNT:instance/ID, of which the interface's has all but the end.
        own = pulumi.Output.all(instance.arn, instance.primary_network_interface_id).apply(
            lambda known: f"{known[0].rpartition(':')[0]}:network-interface/{known[1]}"
        )
        return {PLATFORM: own, **{name: eni.arn for name, eni in self.user_enis.items()}}


def proxy_states(plan: Plan, interfaces: ProxyInterfaces) -> States:
    """The state of each concern of a proxy, in the order of applying."""
    proxy, macs = interfaces.proxy.plan, interfaces.macs
    return {
        Concern.PACKAGES: packages_state(plan, proxy),
        Concern.INPUT: macs.apply(lambda known: input_state(plan, proxy, known)),
        Concern.USER_ENI: macs.apply(lambda known: user_eni_state(plan, proxy, known)),
        Concern.TUNNEL: tunnel_state(plan, proxy),
        Concern.SYNC: sync_state(plan, proxy),
        Concern.NAT: nat_state(plan, proxy),
        Concern.FORWARD: forward_state(plan, proxy),
        Concern.PAIR: _pair(plan, interfaces),
    }


def digest_output(states: States, instance: str) -> pulumi.Output[str]:
    """The digest of what could disturb; see `digest_of`."""
    told = pulumi.Output.all(**{concern.value: state for concern, state in states.items()})
    return told.apply(
        lambda known: digest_of({concern: known[concern.value] for concern in states}, instance)
    )


def _pair(plan: Plan, interfaces: ProxyInterfaces) -> State | pulumi.Output[State]:
    proxy = interfaces.proxy
    if plan.takeover is None:
        return pair_state(plan, proxy.plan, "", {}, {})
    primary = proxy.instance.primary_network_interface_id
    return pulumi.Output.all(primary, interfaces.ids, interfaces.macs).apply(
        lambda known: pair_state(plan, proxy.plan, *known)
    )
