"""The rules of tools/tidy, one module each. A rule is check(tree) -> iterable of Finding."""
