"""Systems that are not trained."""
