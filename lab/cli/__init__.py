"""The lab's command line: what can be said, by subject. What it does is in lab.commands and lab.daemon."""
