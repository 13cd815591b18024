"""`python -m ops`."""

from ops.cli import app

if __name__ == "__main__":
    app()
