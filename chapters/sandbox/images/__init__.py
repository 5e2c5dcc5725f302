"""Programs that run inside a job or a model server, and what they share with the checks."""
