"""What all else is said in: record, signal, task, score, errors. Imports nothing else of ours."""
