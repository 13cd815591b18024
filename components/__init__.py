"""Settings, plan and Pulumi components, in the order of a packet's way."""
