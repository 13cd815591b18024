"""The stand-in for Pulumi's `command` plugin (1.2.1): `remote.Command` and `remote.CopyToRemote`, over SSH.

It behaves as the real one also where that is inconvenient: any changed input runs `update`, else `create`, again;
`triggers` replaces, the new one first; an environment variable that the host's sshd does not accept is an error;
outputs are not secret because inputs are. A preview connects to nobody.
"""
