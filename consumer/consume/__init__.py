"""Record → source event → judged → written."""
