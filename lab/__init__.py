"""A one-machine EC2 made of real Debian guests, to run the program against.

cli.py, commands/     what a person types
daemon/               the process that holds a lab, in namespaces of its own; how it is started, found and asked
cloud/                the EC2 API: moto, with what it lacks put right; says what the world is
world.py              that world, as plain data: the one thing that the layers below agree on
fabric/               networks that follow the world: a namespace per ENI and per VPC
machine/, image/      guests that follow the world, and the image that they are cloned from
metadata/             what an instance is told about itself (IMDS)
endpoints.py          what answers at VPC endpoints; listeners.py has the sockets of both
engine/               the Pulumi engine, run against this cloud
providers/            the stand-ins for its aws and command plugins
path_check.py         walks a function's connection and measures on the way; drawing.py draws it
"""
