"""Postgres: one module a concern, one SQL file a statement."""
