"""Runs: their folders on disk, the outcomes in them, and what statistics say of those."""
