"""The lab's network: a `lab.world.World` as Linux network namespaces, kept equal to it by difference.

     guest of ENI a (QEMU, or a test's namespace)                        guest of ENI b
            │ tap_fd                                                            │
    ┌ netns eni-a ──────────────────────────┐                    ┌ netns eni-b ─┴──────┐
    │ tap   proxy ARP answers for all but   │                    │ tap                 │
    │       the guest's own addresses       │                    │                     │
    │ lo    169.254.169.254: IMDS of ENI a  │                    │ lo  IMDS of ENI b   │
    │ nft   MAC and source/dest check       │                    │ nft  the same       │
    │       security groups, own conntrack  │                    │                     │
    │ vpc                                   │                    │ vpc                 │
    └──┬────────────────────────────────────┘                    └──┬──────────────────┘
       │ veth, MTU 9001                                             │
    ┌ netns vpc-1 (router) ─────────────────────────────────────────┴──────────────────┐
    │ device eni-a, eni-b …     by source: rule `iif eni-a` → the route table of a's   │
    │                           subnet → (LOCAL) the table of /32 routes, one per      │
    │ lo  gateway addresses     assigned private address; anything else is dropped     │
    │ nft 1:1 NAT of public addresses at `internet`; faults (`Block`)                  │
    └──┬───────────────────────────────────────────────────────────────────────────────┘
       │ veth, MTU 1500: device `internet` there, `vpc-1` here
    ┌ the process's own netns: the internet ──────────────────────┐
    │ lo  198.18.0.1, the operator and the engine                 │
    │ /32 route per public address to its VPC; forwards           │
    └─────────────────────────────────────────────────────────────┘

What follows from that:
- An address is where the API says: a guest's gratuitous ARP changes nothing, since the way to a guest is one
  permanent neighbour entry with its MAC, and the way to an address is a /32 route that only `apply` writes.
- VPCs may overlap: they share no namespace. Multicast and broadcast are forwarded by nobody.
- An ENI has its own connection tracking, so a flow that moves to another ENI is unknown there, as on AWS.
- A VPC's router does not decrement TTL, so neither namespace here does: TTL goes up by one before routing
  takes one off (255, which cannot go up, is marked and put back). No loop can come of it: from a tap a packet
  can only go to the router, from there only to a tap or the internet; guests and the internet do decrement.
- An ENI whose service is AWS's (a VPC endpoint) has no tap: its addresses are on lo, and who listens there answers.
- Veths have no ARP and the same MAC at both ends: a frame that leaves one end is always for the other.
"""

from lab.fabric.block import Block
from lab.fabric.fabric import Counters, Fabric
from lab.fabric.names import IMDS_ADDRESS, OPERATOR_ADDRESS

__all__ = ["IMDS_ADDRESS", "OPERATOR_ADDRESS", "Block", "Counters", "Fabric"]
