"""Requests and responses: middleware, router, bodies, long polls, worker threads."""
