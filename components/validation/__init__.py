"""From what the operator wrote to settings, or to all that is wrong with it. Pure: no Pulumi, no I/O."""
