"""Each noun of the model as rows: read, create, update, delete."""
