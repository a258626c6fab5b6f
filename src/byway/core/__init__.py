"""The nouns: rule, record, signal, task, learner. Imports nothing else of ours."""
