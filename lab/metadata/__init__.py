"""The instance metadata service, IMDSv2 and where an instance allows it v1, at 169.254.169.254 of every ENI.

A listener per ENI, in the ENI's network namespace, says who asks: a source address proves nothing, since VPCs
overlap and a guest that just got a NIC has only a link-local address that nobody gave it.
"""

from lab.metadata.document import Credentials
from lab.metadata.service import Metadata

__all__ = ["Credentials", "Metadata"]
