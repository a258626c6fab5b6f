"""Speed, memory and start-up of Byway beside its floor (hand-written JAX) and PyTorch, all measured
in one run.
"""
