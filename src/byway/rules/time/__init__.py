"""Credit over the steps of a sequence."""
