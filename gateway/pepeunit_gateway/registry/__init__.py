"""Users, repositories, repos, units, unit nodes and edges: the entities and their rules."""
