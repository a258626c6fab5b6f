"""Rules whose formula is itself learned."""
