"""Training, evaluating and comparing systems on a task."""
