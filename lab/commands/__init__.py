"""What each command of the lab does."""
