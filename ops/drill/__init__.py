"""Break a running stack on purpose, and measure what its connections notice.

catalogue.py  the scenarios, as runbooks          steps.py   their verbs
scenario.py   what a scenario is                  run.py     one run: load, steps, healing, looking again
faults.py     what can be broken, and by whom     load.py    connections from a func host, meanwhile
watch.py      where HaVips are, all the time      result.py  figures and bounds (pure)
report.py     table and JSON                      timeline.py  the picture
"""
