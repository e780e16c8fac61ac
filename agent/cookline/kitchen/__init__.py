"""Testing of recipes: suites on hosts of any provider, a pytest plugin."""
