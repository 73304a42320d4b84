"""What a database is to the store, SQLite and PostgreSQL, and statements as they are run."""
