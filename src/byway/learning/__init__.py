"""What learns: rules, how they are run, growth, and the learner they change."""
