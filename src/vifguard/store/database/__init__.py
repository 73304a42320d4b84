"""The protocol of a database, SQLite and PostgreSQL behind it, and statements as they are run."""
