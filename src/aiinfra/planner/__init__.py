"""``aiinfra plan``: the request made into a search, and what was found made readable."""
