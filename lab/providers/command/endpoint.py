"""How a host is reached, as a property."""

from __future__ import annotations

from lab.providers.plugin.schema import Kind, Prop, Props

ENDPOINT: Props = {
    "host": Prop(required=True),
    "port": Prop(kind=Kind.NUMBER, default=22.0),
    "user": Prop(default="root"),
    "password": Prop(),
    "privateKey": Prop(),
    "privateKeyPassword": Prop(),
    "agentSocketPath": Prop(),
    "hostKey": Prop(),
    "dialErrorLimit": Prop(kind=Kind.INT, default=10.0),
    "perDialTimeout": Prop(kind=Kind.INT, default=15.0),
}
CONNECTION: Props = {
    "connection": Prop(
        kind=Kind.OBJECT,
        required=True,
        fields={**ENDPOINT, "proxy": Prop(kind=Kind.OBJECT, fields=ENDPOINT)},
    )
}
