"""Looks at a running stack over SSH; reads nothing but the stack's outputs."""
