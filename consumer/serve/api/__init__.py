"""The API: the reference product's calls, and what they lack. One file a resource."""
