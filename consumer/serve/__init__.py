"""What the process itself answers over HTTP."""
