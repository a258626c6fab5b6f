"""The audit: what each weight update reads, computed from the program and not claimed."""
