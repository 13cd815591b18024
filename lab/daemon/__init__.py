"""The process that is a lab: everything it holds ends with it.

    lab up ── unshare (user, if not root) + mount + net + pid ──▶ init (PID 1: reaps)
                                                                   └ service: cloud · fabric · metadata · machines
                                                                       └ QEMU guests, the Pulumi engine

A PID namespace ends with its PID 1, a network namespace with its last process, a private mount of /run with its
mount namespace: after SIGKILL of `init` there is no guest, tap, namespace or mount to clean up.
"""
