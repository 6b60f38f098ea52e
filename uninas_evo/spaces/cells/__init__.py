"""A cell space whose number of nodes and cells and whose width are decisions, too; cells are those of `darts`."""
