-- Which session of the server a statement runs in.
SELECT pg_backend_pid() AS pid
