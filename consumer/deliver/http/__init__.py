"""A lean HTTP/1.1 client for a sender that must judge every answer: one POST, one answer, every bound in one place.

```
pool ─► connect ─► (resolve, judge the address, connect, TLS)
  │        └──► race ─► wire
  └───► connection ─► answer          request: the bytes that are sent
            └───► wire
everything that goes wrong is a `Failed`, named once, in `failed`
```
"""
