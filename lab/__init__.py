"""A one-machine EC2 made of real Debian guests, to run the program against."""
