"""aws:ec2/keyPair:KeyPair"""

from __future__ import annotations

from collections.abc import Set

from lab.providers.aws.client import Aws
from lab.providers.aws.marks import read_tags, tag_specifications
from lab.providers.aws.resource import REGION, TAGS, ResourceType, State, Values, ignore_gone
from lab.providers.plugin.provider import Urn
from lab.providers.plugin.schema import Prop

GONE = "InvalidKeyPair.NotFound"


class KeyPair(ResourceType):
    """A public key by name. The id is the name, as the real plugin's."""

    type_name = "aws:ec2/keyPair:KeyPair"
    inputs = {
        **REGION,
        "tags": TAGS["tags"],
        "keyName": Prop(autoname=True, replaces=True),
        "publicKey": Prop(required=True, replaces=True),
    }
    outputs = frozenset({"arn", "fingerprint", "keyPairId", "keyType", "tagsAll"})

    def create(self, aws: Aws, urn: Urn, new: Values) -> str:
        made = aws.ec2(
            "import_key_pair",
            KeyName=new["keyName"],
            PublicKeyMaterial=new["publicKey"].encode(),
            TagSpecifications=tag_specifications(aws, urn, "key-pair", new.get("tags")),
        )
        return str(made["KeyName"])

    def describe(self, aws: Aws, object_id: str, known: Values) -> State | None:
        pair = aws.find("describe_key_pairs", "KeyPairs", GONE, KeyNames=[object_id])
        if pair is None:
            return None
        return {
            **read_tags(aws, pair.get("Tags")),
            "region": aws.config.region,
            "arn": aws.arn("ec2", f"key-pair/{object_id}"),
            "keyName": object_id,
            "keyPairId": pair["KeyPairId"],
            "fingerprint": pair.get("KeyFingerprint", ""),
            "keyType": pair.get("KeyType") or _type(known.get("publicKey", "")),
        }

    def update(self, aws: Aws, object_id: str, state: Values, new: Values, changed: Set[str]) -> None:
        # Tags go by the key pair's own id, not by its name.
        super().update(aws, state["keyPairId"], state, new, {"tags"})

    def delete(self, aws: Aws, object_id: str, state: Values) -> None:
        ignore_gone(aws, "delete_key_pair", (GONE,), KeyName=object_id)


def _type(public_key: str) -> str:
    return "ed25519" if public_key.startswith("ssh-ed25519") else "rsa"
