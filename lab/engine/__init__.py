"""The real Pulumi engine, run against the lab: CLI, own work directory, events, repair after a crash.

    from lab.engine.context import EngineContext
    from lab.engine.operations import destroy, preview, refresh, up

The program is the project's own `__main__.py`; the project's Pulumi.yaml is never touched, because the
stand-in plugins that the lab names must not appear in it. Nothing is imported here: importing Pulumi takes a
quarter of a second, which who only looks for the CLI need not wait.
"""
