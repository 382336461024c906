"""Every system on every fold of a data set, by one command; what is done is not done again."""
