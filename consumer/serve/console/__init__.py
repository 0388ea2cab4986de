"""The console: pages for people, of the API's operations and of nothing else that the API could not do.

`serving` routes a request → `visits` let it in (session, origin) → a page of `pages/` asks operations → `rendering`.
"""
